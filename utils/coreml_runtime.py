"""The Core ML runtime under the name that it had before it became a package of its own, coreml-runtime/."""
from coreml_runtime import *  # noqa: F403
from coreml_runtime.__main__ import run

if __name__ == "__main__":
    run()
