"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const [target, rho] = [at("target"), at("rho")];
const steps = data.rhos.length; // to either side of 0
const percent = (share) => (100 * share).toFixed(1) + " %";
for (const [index, one] of data.classes.entries()) target.add(new Option(one.name, index));
rho.min = -steps;
rho.max = steps;
rho.value = steps;
for (let step = -steps; step <= steps; step++) {
  const mark = document.createElement("option");
  mark.value = step;
  at("marks").append(mark);
}
const largest = data.rhos[steps - 1];
at("left").textContent = "−" + largest;
at("right").textContent = "+" + largest;

function frame(one, step) {
  if (step === 0) return { image: data.image, difference: data.grey, rmse: 0, confidence: one.confidence, short: false };
  const way = step > 0 ? one.surer : one.less;
  return way[Math.abs(step) - 1];
}

function x(step) {
  const size = step === 0 ? 0 : Math.sign(step) * data.rhos[Math.abs(step) - 1];
  return 225 + (185 * size) / largest;
}

const y = (share) => 140 - 125 * share;

function show() {
  const one = data.classes[target.value];
  const step = Number(rho.value);
  const now = frame(one, step);
  at("explanation").src = now.image;
  at("difference").src = now.difference;
  const word = step === 0 ? "the image as it is" : step > 0 ? "surer of " + one.name : "less sure of " + one.name;
  at("what").textContent = word;
  at("explanation").alt = "the image changed: " + word;
  at("size").textContent = "the change, around grey: RMSE " + now.rmse.toFixed(4);
  rho.setAttribute("aria-valuetext", word + ", RMSE " + now.rmse.toFixed(4));
  at("state").textContent = one.name + ": " + percent(one.confidence) + " → " + percent(now.confidence) + ". ";
  if (now.short) {
    const warning = document.createElement("span");
    warning.className = "warn";
    warning.textContent = "The walk falls short: the network's gradient vanished on the way, and this picture tells little.";
    at("state").append(warning);
  }
  const points = [];
  for (let each = -steps; each <= steps; each++) points.push(x(each) + "," + y(frame(one, each).confidence));
  at("curve").setAttribute("points", points.join(" "));
  at("dot").setAttribute("cx", x(step));
  at("dot").setAttribute("cy", y(now.confidence));
}

target.addEventListener("change", show);
rho.addEventListener("input", show);
show();
