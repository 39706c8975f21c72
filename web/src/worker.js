// Runs the model beside the page, so that the page stays responsive.
// To the page: {about} when the model is ready, {id, probabilities, milliseconds} for each picture, {failure} else.
import * as ort from "onnxruntime-web/wasm";
import { resample } from "./resample.js";

ort.env.wasm.wasmPaths = new URL("./", self.location.href).href;
// ONNX Runtime takes half of the cores, at most four, where the page is isolated, and one core on plain http. More than
// half was slower on two cores: the camera and the page need theirs.
ort.env.logLevel = "error";
let session, about;

async function load(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`the server answers ${response.status} for ${name}`);
  return response;
}

async function start() {
  const [description, model] = await Promise.all([
    load("model.json").then((response) => response.json()),
    load("model.onnx").then((response) => response.arrayBuffer()),
  ]);
  about = description;
  session = await ort.InferenceSession.create(model);
  await run(new Float32Array(3 * about.height * about.width)); // the first run sets up memory
}

async function run(pixels) {
  const image = new ort.Tensor("float32", pixels, [1, 3, about.height, about.width]);
  return (await session.run({ image })).probabilities.data;
}

const ready = start();
ready.then(
  () => self.postMessage({ about }),
  (error) => self.postMessage({ failure: error.message }),
);

self.onmessage = async ({ data: { id, picture, crop } }) => {
  await ready;
  const started = performance.now();
  try {
    const probabilities = Array.from(await run(resample(picture, crop, about)));
    self.postMessage({ id, probabilities, milliseconds: performance.now() - started });
  } catch (error) {
    self.postMessage({ failure: error.message });
  }
};
