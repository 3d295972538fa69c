"use strict";
const at = (id) => document.getElementById(id);
const percent = (share) => (100 * share).toFixed(1) + " %";
// The RMSE of a change that people hardly see: 2.5 of 255 grey levels.
const INVISIBLE = 0.01;
const state = { model: null, file: null, image: null, order: [], several: false };

const note = (text, bad) => { at("note").textContent = text; at("note").className = bad ? "warn" : ""; };
const named = (index) => state.model.labels[index] || "class " + index;

async function open() {
  state.model = await opened(at("model").value);
  at("explaining").hidden = !state.model.signatures.includes("explain");
  at("samples").replaceChildren(...state.model.samples.map((sample, number) => {
    const button = document.createElement("button");
    const picture = button.appendChild(document.createElement("img"));
    picture.src = URL.createObjectURL(sample);
    picture.alt = "sample picture " + (number + 1);
    button.addEventListener("click", () => take(sample));
    return button;
  }));
  state.file ||= state.model.samples[0];
}

async function load() {
  state.image = null;
  if (!state.file || !state.model) return;
  const [height, width, channels] = state.model.shape;
  const { file } = state;
  const picture = await createImageBitmap(file).catch(() => {
    if (state.file === file) state.file = null;
    throw new Error("expected a picture that this browser can read, " + (file.name || "this") + " is none");
  });
  // The middle of the wanted aspect.
  const scale = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [scale * width, scale * height];
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (picture.width - w) / 2, (picture.height - h) / 2, w, h, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const image = new Float32Array(height * width * channels);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const [red, green, blue] = data.subarray(4 * pixel, 4 * pixel + 3);
    if (channels === 1) image[pixel] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue) / 255;
    else image.set([red / 255, green / 255, blue / 255], 3 * pixel);
  }
  state.image = image;
  at("size").textContent = picture.width + " × " + picture.height + " pixels, seen at " + width + " × " + height;
}

async function classify() {
  if (!state.image) return;
  note("asking the network …");
  const { probabilities, predicted: decided, thresholds } = await state.model.ask("serving_default", state.image);
  const predicted = thresholds && decided;  // other models call the class that they give so
  // A network of several labels decides about each of them.
  state.several = Boolean(predicted);
  const order = Array.from(probabilities.keys()).sort((one, other) => probabilities[other] - probabilities[one]);
  draw(at("image"), state.image);
  at("ranked").textContent = state.several ? "the likeliest labels" : "the likeliest classes";
  at("kind").textContent = state.several ? "label" : "class";
  at("classes").replaceChildren(...order.slice(0, state.several ? 20 : 5).map((index) => {
    const row = document.createElement("tr");
    const name = row.appendChild(document.createElement("th"));
    name.scope = "row";
    name.textContent = named(index);
    row.appendChild(document.createElement("td")).textContent = percent(probabilities[index]);
    if (predicted) {
      row.className = predicted[index] ? "holds" : "";
      row.appendChild(document.createElement("td")).textContent = (predicted[index] ? "yes, above " : "no, not above ") + percent(thresholds[index]);
    }
    const bar = row.appendChild(document.createElement("td")).appendChild(document.createElement("span"));
    bar.className = "bar";
    bar.style.width = percent(probabilities[index]).replace(" ", "");
    return row;
  }));
  at("target").replaceChildren(...order.map((index) => new Option(named(index), index)));
  at("robust").textContent = at("what").textContent = "";
  for (const id of ["explanation", "difference"]) at(id).width = 0;
  at("unsure").textContent = !predicted && probabilities[order[0]] < 0.5 ? "Uncertain: other classes together are likelier." : "";
  at("found").hidden = false;
  note("");
}

async function measure() {
  if (!state.image || !state.model.signatures.includes("robustness")) return;
  const label = Number(at("target").value);
  const { found, rmse, rival } = await state.model.ask("robustness", state.image, state.several ? { target: label } : {});
  const turned = state.several ? named(label) + (rival === 1 ? ": yes" : ": no") : named(rival);
  at("robust").textContent = found ? "A change of RMSE " + rmse.toFixed(4) + " is enough to turn the decision to " + turned + "." : "No change was found that turns the decision.";
  if (state.several) at("unsure").textContent = "";
  if (found && rmse < INVISIBLE) at("unsure").textContent = "Uncertain: a change that people hardly see turns the decision to " + turned + ".";
}

async function explain() {
  if (!state.image || !state.model.signatures.includes("explain")) return;
  const size = at("rho").value / 100;
  const numbers = { target: Number(at("target").value), direction: size < 0 ? -1 : 1, rho: Math.abs(size) };
  const found = await state.model.ask("explain", state.image, numbers);
  draw(at("explanation"), found.explanation);
  draw(at("difference"), Array.from(found.difference, (value) => 0.5 + value / (6 * Math.max(Math.abs(size), 0.01))));
  at("what").textContent = named(numbers.target) + ": " + percent(found.confidence_before) + " → " + percent(found.confidence_after) + " at RMSE " + found.rmse.toFixed(3);
}

function draw(canvas, image) {
  const [height, width, channels] = state.model.shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let colour = 0; colour < 3; colour++)
      drawn.data[4 * pixel + colour] = 255 * image[channels * pixel + (channels === 1 ? 0 : colour)];
    drawn.data[4 * pixel + 3] = 255;
  }
  context.putImageData(drawn, 0, 0);
}

// One step runs at a time. Whoever asks meanwhile sets the next one back, so that however often the
// slider moves, only its last place is asked about.
const steps = [open, load, classify, measure, explain];
let next = steps.length, running = false;
async function from(step) {
  next = Math.min(next, steps.indexOf(step));
  if (running) return;
  running = true;
  while (next < steps.length) {
    const planned = next + 1;
    try { await steps[next++](); } catch (error) {
      note(error.message, true);
      // What is shown belongs to another picture or model.
      if (planned <= steps.indexOf(classify) + 1) at("found").hidden = true;
      if (next === planned) next = steps.length;
    }
  }
  running = false;
}

function take(file) {
  if (!file) return;
  state.file = file;
  from(load);
}

at("about").textContent = about;
// Else the browser says nothing where the same file is chosen again.
at("file").addEventListener("click", () => { at("file").value = ""; });
at("file").addEventListener("change", () => take(at("file").files[0]));
at("model").addEventListener("change", () => from(open));
at("target").addEventListener("change", () => from(state.several ? measure : explain));
at("rho").addEventListener("input", () => {
  const size = at("rho").value / 100;
  at("told").textContent = size.toFixed(2);
  at("rho").setAttribute("aria-valuetext", (size < 0 ? "less sure" : "surer") + ", RMSE " + Math.abs(size).toFixed(2));
  from(explain);
});
for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, (event) => {
  event.preventDefault();
  document.body.classList.toggle("over", kind === "dragover");
  if (kind === "drop") take(event.dataTransfer.files[0]);
});
models().then((names) => {
  for (const name of names) at("model").add(new Option(name));
  return from(open);
}).catch((error) => note(error.message, true));
