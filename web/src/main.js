// The page: takes pictures from the camera or from a file, asks the worker, shows the answer.
import { centreCrop } from "./resample.js";

const FRAMES = 8; // the answer shown is the mean over the last frames of the camera, as in ios/TabletopAR
const ANNOUNCE_EVERY = 1500; // milliseconds at least between two sentences to a screen reader
const MOST_PIXELS = 4096; // a side; larger photos are reduced first, because phones limit the size of a canvas
// The smallest WebAssembly module with a SIMD instruction (v128.const), from the WebAssembly specification's encoding.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
const CAMERA_ERRORS = {
  NotAllowedError: "The browser may not use the camera. Allow it in the site's settings, or take a photo instead.",
  NotFoundError: "No camera was found. Connect one, or choose a photo instead.",
  NotReadableError: "The camera cannot be used now, perhaps because another app has it. Close that app and try again.",
};

const element = (id) => document.getElementById(id);
const video = element("video"), picture = element("picture");
const canvas = document.createElement("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
let about, worker, stream, recent = [], waiting = null, asked = 0, lastAnswer = 0, framesPerSecond = 0;

function say(sentence, alarm = true) {
  element("message").textContent = sentence;
  element("message").classList.toggle("alarm", alarm);
}

const readable = (label) => label.replaceAll("_", " ");

// --- asking ---------------------------------------------------------------------------------------------------------

/** The part of a video frame or picture that the model sees, as pixels and the crop within them. */
function grab(source, width, height) {
  const crop = centreCrop(width, height, about);
  const left = Math.floor(crop.left), top = Math.floor(crop.top);
  const cutWidth = Math.ceil(crop.left + crop.width) - left, cutHeight = Math.ceil(crop.top + crop.height) - top;
  const scale = Math.min(1, MOST_PIXELS / Math.max(cutWidth, cutHeight));
  canvas.width = Math.round(cutWidth * scale);
  canvas.height = Math.round(cutHeight * scale);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // beneath transparent pictures
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, left, top, cutWidth, cutHeight, 0, 0, canvas.width, canvas.height);
  const within = scale === 1
    ? { ...crop, left: crop.left - left, top: crop.top - top }
    : { left: 0, top: 0, width: canvas.width, height: canvas.height };
  return { picture: context.getImageData(0, 0, canvas.width, canvas.height), crop: within };
}

/** The worker's answer about a picture: {probabilities, milliseconds}. */
function ask(source, width, height) {
  const { picture, crop } = grab(source, width, height);
  const { data } = picture;
  return new Promise((resolve) => {
    waiting = { id: ++asked, resolve };
    const message = { id: asked, picture: { data, width: picture.width, height: picture.height }, crop };
    worker.postMessage(message, [data.buffer]);
  });
}

/** The loop of the live camera: one frame at a time; what the camera shows meanwhile is dropped, not queued. */
async function watch() {
  const mine = stream;
  recent = [];
  lastAnswer = framesPerSecond = 0;
  while (stream === mine) {
    await new Promise(requestAnimationFrame); // rests while the page is out of sight
    if (stream !== mine || video.readyState < 2) continue;
    const { probabilities, milliseconds } = await ask(video, video.videoWidth, video.videoHeight);
    if (stream !== mine) return;
    recent = [...recent, probabilities].slice(-FRAMES);
    const now = performance.now();
    const rate = 1000 / (now - lastAnswer);
    framesPerSecond = framesPerSecond ? 0.9 * framesPerSecond + 0.1 * rate : lastAnswer ? rate : 0;
    lastAnswer = now;
    show(about.labels.map((_, i) => recent.reduce((sum, each) => sum + each[i], 0) / recent.length), milliseconds);
  }
}

// --- showing --------------------------------------------------------------------------------------------------------

function listClasses() {
  const names = about.labels.map(readable);
  element("classes").textContent = `Show it one of these: ${names.join(", ")}.`;
  element("probabilities").replaceChildren(...names.map((name) => {
    const row = document.createElement("li");
    row.innerHTML = '<span class="name"></span><span class="share" aria-hidden="true"></span>' +
      '<div class="bar" role="meter" aria-valuemin="0" aria-valuemax="1"><i></i></div>';
    row.querySelector(".name").textContent = name;
    row.querySelector(".bar").setAttribute("aria-label", name);
    return row;
  }));
}

/** Probabilities with another softmax temperature: p^(1/T), scaled to the sum 1 (Guo et al. 2017). */
function calibrate(probabilities) {
  const powers = probabilities.map((p) => p ** (1 / about.temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Shows an answer. Of several frames, the mean comes first and the temperature after it: a temperature below 1 would let
 *  one sure frame outvote the others. */
function show(uncalibrated, milliseconds) {
  const probabilities = calibrate(uncalibrated);
  const largest = Math.max(...probabilities);
  const known = largest >= about.threshold;
  const top = probabilities.indexOf(largest);
  [...element("probabilities").children].forEach((row, i) => {
    const share = `${Math.round(100 * probabilities[i])} %`;
    const bar = row.querySelector(".bar");
    row.classList.toggle("top", known && i === top);
    row.querySelector(".share").textContent = share;
    bar.firstChild.style.transform = `scaleX(${probabilities[i]})`;
    bar.setAttribute("aria-valuenow", probabilities[i].toFixed(4));
    bar.setAttribute("aria-valuetext", share);
  });
  const answer = known ? readable(about.labels[top]) : "none of these";
  element("label").textContent = answer;
  element("label").classList.toggle("none", !known);
  const rate = stream && framesPerSecond ? `, ${framesPerSecond.toFixed(0)} frames a second` : "";
  element("speed").textContent = `${milliseconds.toFixed(0)} ms a frame${rate}`;
  element("answer").hidden = false;
  announce(known ? `${answer}, ${Math.round(100 * largest)} percent` : answer, answer);
}

let announced = { answer: null, time: -Infinity };

/** Tells a screen reader a new answer; not every frame's, and never the same one twice in a row. */
function announce(sentence, answer) {
  const now = performance.now();
  if (answer === announced.answer || now - announced.time < ANNOUNCE_EVERY) return;
  announced = { answer, time: now };
  element("announcement").textContent = sentence;
}

function view(shown) {
  for (const each of [video, picture, element("empty")]) each.toggleAttribute("hidden", each !== shown);
}

// --- camera and photo -----------------------------------------------------------------------------------------------

async function startCamera() {
  try {
    const opened = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } },
    });
    stopCamera();
    stream = opened;
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stopCamera();
    say(CAMERA_ERRORS[error.name] ?? `The camera cannot be used (${error.message}). Take a photo instead.`);
    return;
  }
  stream.getVideoTracks()[0].onended = () => {
    stopCamera();
    say("The camera was disconnected. Start it again, or take a photo instead.");
  };
  element("camera").textContent = "Stop the camera";
  say("", false);
  view(video);
  watch();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  element("camera").textContent = "Start the camera";
  if (!video.hidden) view(element("empty"));
}

async function openPhoto(file) {
  stopCamera();
  if (picture.src) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  try {
    await picture.decode();
  } catch {
    view(element("empty"));
    element("answer").hidden = true;
    say(`${file.name} is no picture that this browser can read. Choose a JPEG or PNG.`);
    return;
  }
  view(picture);
  say("", false);
  announced.answer = null; // a new photo is news even when the answer is the same
  announced.time = -Infinity;
  const { probabilities, milliseconds } = await ask(picture, picture.naturalWidth, picture.naturalHeight);
  if (!stream) show(probabilities, milliseconds);
}

// --- start ----------------------------------------------------------------------------------------------------------

async function ready(description) {
  about = description;
  listClasses();
  element("photo").disabled = false;
  const live = window.isSecureContext && navigator.mediaDevices?.getUserMedia;
  element("camera").hidden = !live;
  element("camera").disabled = !live;
  say(live ? "" : "The live camera needs https or localhost. The photo button works everywhere.", false);
  keepForOffline();
  const permission = await navigator.permissions?.query({ name: "camera" }).catch(() => null);
  if (live && permission?.state === "granted") startCamera();
}

async function keepForOffline() {
  if (!navigator.serviceWorker) return; // plain http
  await navigator.serviceWorker.register("service-worker.js");
  await navigator.serviceWorker.ready;
  element("offline").textContent = "From now on it works offline, too.";
}

function failed(reason) {
  stopCamera();
  element("camera").disabled = element("photo").disabled = true;
  say(`The model file cannot be used (${reason}). Build the page again with make demo.`);
}

element("camera").onclick = () => (stream ? stopCamera() : startCamera());
element("photo").onchange = ({ target }) => {
  if (target.files.length) openPhoto(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
};

if (typeof WebAssembly === "object" && WebAssembly.validate(new Uint8Array(SIMD))) {
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.failure) failed(data.failure);
    else if (data.about) ready(data.about);
    else if (data.id === waiting?.id) waiting.resolve(data);
  };
  worker.onerror = (event) => failed(event.message ?? "the worker did not start");
} else {
  say("This browser cannot run WebAssembly with SIMD. Use Safari 16.4, Chrome 91, Firefox 114 or newer.");
}
