"""The Core ML runtime under the name that it had before it became a package of its own, coreml-runtime/."""
import sys

from coreml_runtime import *  # noqa: F403
from coreml_runtime.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
