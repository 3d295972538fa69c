"use strict";
const at = (id) => document.getElementById(id);
const state = { number: 0, picture: null, image: null, maps: [], marks: null, x: 0, y: 0, scale: 1, last: null, down: false };
const COLOURS = { 255: "#1b9e77", 128: "#d95f02" };
const LONGEST_SIDE = 560; // of the canvas, in pixels of the page

const note = (text, bad) => { at("note").textContent = text; at("note").className = bad ? "warn" : ""; };

const drawable = (png) => createImageBitmap(new Blob([fromBase64(png)], { type: "image/png" }));

// The colours of a map: red speaks for the class, blue against it, by how strongly.
async function coloured(png) {
  const bitmap = await drawable(png);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let place = 0; place < pixels.data.length; place += 4) {
    const value = pixels.data[place] - 128;
    pixels.data.set([value > 0 ? 178 : 33, value > 0 ? 24 : 102, value > 0 ? 43 : 172, Math.min(255, 2 * Math.abs(value))], place);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

async function list() {
  const { pictures } = await told("/pictures");
  const chosen = at("picture").value;
  at("picture").replaceChildren(...pictures.map(({ name, marked }, number) => new Option((marked ? "✓ " : "") + name, number)));
  if (chosen) at("picture").value = chosen;
  at("progress").textContent = pictures.filter(({ marked }) => marked).length + " of " + pictures.length + " are marked";
}

// Until the next picture is there, nothing can be painted: it would be lost.
async function open(number) {
  const before = state.marks;
  state.marks = null;
  try { await fetched(number); } catch (error) {
    state.marks = before;
    throw error;
  }
}

async function fetched(number) {
  note("asking the network …");
  const picture = await told("/pictures/" + number);
  const [image, ...maps] = await Promise.all([drawable(picture.image), ...picture.maps.map(({ map }) => coloured(map))]);
  const { width, height } = picture;
  Object.assign(state, { number, picture, image, maps, last: null, down: false });
  state.marks = new Marks(width, height, picture.marks && fromBase64(picture.marks));
  [state.x, state.y] = [width >> 1, height >> 1];
  state.scale = Math.max(1, Math.floor(LONGEST_SIDE / Math.max(width, height)));
  [at("paper").width, at("paper").height] = [width * state.scale, height * state.scale];
  const method = at("method").value;
  at("method").replaceChildren(new Option("none", -1), ...picture.maps.map((one, place) => new Option(one.method, place)));
  at("method").value = method && [...at("method").options].some((option) => option.value === method) ? method : maps.length ? 0 : -1;
  at("picture").value = number;
  at("said").textContent = "The network says " + picture.class + ", with a confidence of " + (100 * picture.confidence).toFixed(1) + " %." + (picture.explained === picture.class ? "" : " The maps are about " + picture.explained + ".") + (picture.who ? " Marked by " + picture.who + ", " + picture.when + "." : "");
  note("");
  draw();
}

function draw() {
  const { scale, marks, image, maps } = state;
  const context = at("paper").getContext("2d");
  context.imageSmoothingEnabled = false;
  context.globalAlpha = 1;
  context.drawImage(image, 0, 0, at("paper").width, at("paper").height);
  const map = maps[at("method").value];
  context.globalAlpha = at("strength").value / 100;
  if (map) context.drawImage(map, 0, 0, at("paper").width, at("paper").height);
  context.lineWidth = Math.max(1, scale / 6);
  marks.values.forEach((value, place) => {
    if (!value) return;
    const [left, top] = [(place % marks.width) * scale, Math.floor(place / marks.width) * scale];
    context.globalAlpha = value === 255 ? 0.55 : 0.35;
    context.fillStyle = context.strokeStyle = COLOURS[value];
    context.fillRect(left, top, scale, scale);
    if (value === 255) return;
    context.globalAlpha = 1; // and stripes, for those who do not tell the colours apart
    context.beginPath();
    context.moveTo(left, top + scale);
    context.lineTo(left + scale, top);
    context.stroke();
  });
  context.globalAlpha = 1;
  if (document.activeElement !== at("paper")) return;
  const radius = (size() - 0.5) * scale;
  for (const [colour, width] of [["#fff", 4], ["#000", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect((state.x + 0.5) * scale - radius, (state.y + 0.5) * scale - radius, 2 * radius, 2 * radius);
  }
}

const brush = () => Number(document.querySelector("input[name=brush]:checked").value);
const size = () => Number(at("size").value);

function paint(x, y) {
  const [fromX, fromY] = state.last || [x, y];
  state.marks.line(fromX, fromY, x, y, size(), brush());
  state.last = [x, y];
}

function place(event) {
  const box = at("paper").getBoundingClientRect();
  const within = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
  return [within((event.clientX - box.left) / box.width * state.marks.width, state.marks.width), within((event.clientY - box.top) / box.height * state.marks.height, state.marks.height)];
}

function say() {
  const value = state.marks.values[state.y * state.marks.width + state.x];
  at("place").textContent = "column " + (state.x + 1) + ", row " + (state.y + 1) + ": " + { 255: "evidence", 128: "no evidence", 0: "not marked" }[value] + (state.down ? "; the brush is down" : "");
}

async function save() {
  const { marks } = state;
  if (!marks) return false;
  if (!marks.any && !marks.saved.some(Boolean)) { note("Nothing is marked in this picture.", true); return false; }
  if (marks.any && !at("who").value.trim()) { note("Say your name first: it is kept with the marks.", true); at("who").focus(); return false; }
  const values = marks.values.slice();
  const { kept } = await told("/pictures/" + state.number, { who: at("who").value, marks: toBase64(values) });
  marks.saved = values;
  await list();
  note(kept ? "Saved as " + kept + "." : "The marks of this picture are taken away.");
  return true;
}

// Leaving a picture saves it; what cannot be saved is not left.
async function go(number) {
  const count = at("picture").options.length;
  number = (number + count) % count;
  // What is painted while it is being saved is saved, too.
  while (state.marks && state.marks.changed) if (!(await save())) { at("picture").value = state.number; return; }
  await open(number);
}

// One thing at a time; what fails is said, and nothing is lost.
let busy = Promise.resolve();
const later = (work) => { busy = busy.then(work).catch((error) => { note(error.message, true); at("picture").value = state.number; }); return busy; };
const ready = (work) => (event) => { if (state.marks) work(event); };

const change = (work) => ready(() => { work(); draw(); say(); });
const undo = change(() => state.marks.undo() || note("There is nothing to undo."));
const redo = change(() => state.marks.redo() || note("There is nothing to redo."));

function set(value) { document.querySelector(`input[name=brush][value="${value}"]`).checked = true; }
function resize(by) {
  at("size").value = size() + by;
  at("sized").textContent = at("size").value;
}

const KEYS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  e: () => set(255), n: () => set(128), x: () => set(0), z: () => undo(), y: () => redo(),
  s: () => later(save), "+": () => resize(1), "-": () => resize(-1),
  " ": () => { state.marks.begin(); state.last = null; paint(state.x, state.y); state.last = null; },
  Enter: () => { state.down = !state.down; state.last = null; if (state.down) { state.marks.begin(); paint(state.x, state.y); } },
};
at("paper").addEventListener("keydown", ready((event) => {
  const key = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  // With Control the letters are the browser's, but for the two that everybody knows.
  if (!key || event.altKey || event.metaKey || (event.ctrlKey && !"zy".includes(event.key.toLowerCase()))) return;
  event.preventDefault();
  if (Array.isArray(key)) {
    const far = event.shiftKey ? 5 : 1;
    state.x = Math.max(0, Math.min(state.marks.width - 1, state.x + far * key[0]));
    state.y = Math.max(0, Math.min(state.marks.height - 1, state.y + far * key[1]));
    if (state.down) paint(state.x, state.y);
  } else key();
  draw();
  say();
}));
at("paper").addEventListener("pointerdown", ready((event) => {
  if (event.button) return;
  at("paper").setPointerCapture(event.pointerId);
  [state.x, state.y] = place(event);
  state.marks.begin();
  state.last = null;
  state.down = false;
  paint(state.x, state.y);
  draw();
}));
at("paper").addEventListener("pointermove", ready((event) => {
  if (!at("paper").hasPointerCapture(event.pointerId)) return;
  [state.x, state.y] = place(event);
  paint(state.x, state.y);
  draw();
}));
at("paper").addEventListener("pointerup", ready(() => { state.last = null; say(); }));
for (const kind of ["focus", "blur"]) at("paper").addEventListener(kind, ready(draw));
at("undo").addEventListener("click", undo);
at("redo").addEventListener("click", redo);
at("clear").addEventListener("click", change(() => state.marks.clear()));
at("save").addEventListener("click", () => later(save));
at("before").addEventListener("click", () => later(() => go(state.number - 1)));
at("after").addEventListener("click", () => later(() => go(state.number + 1)));
at("picture").addEventListener("change", () => later(() => go(Number(at("picture").value))));
at("size").addEventListener("input", ready(() => { resize(0); draw(); }));
for (const id of ["method", "strength"]) at(id).addEventListener("input", ready(draw));
window.addEventListener("beforeunload", (event) => { if (state.marks && state.marks.changed) event.preventDefault(); });
at("who").value = given.get("who") || "";
later(list).then(() => later(() => open(0)));
