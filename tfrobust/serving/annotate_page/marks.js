"use strict";
// The marks of one picture, and the way back: 255 is evidence, 128 is no evidence, 0 is not marked.
class Marks {
  constructor(width, height, values) {
    this.width = width;
    this.height = height;
    this.values = values || new Uint8Array(width * height);
    this.saved = this.values.slice();
    this.past = [];
    this.future = [];
  }

  get changed() { return this.values.some((value, place) => value !== this.saved[place]); }
  get any() { return this.values.some((value) => value !== 0); }

  // Before a stroke, so that undo takes back all of it.
  begin() {
    this.past.push(this.values.slice());
    if (this.past.length > 100) this.past.shift();
    this.future = [];
  }

  // A disc around a pixel; a brush of size 1 is that pixel alone.
  dot(x, y, size, value) {
    const reach = size - 1;
    for (let row = Math.max(0, y - reach); row <= Math.min(this.height - 1, y + reach); row++)
      for (let column = Math.max(0, x - reach); column <= Math.min(this.width - 1, x + reach); column++)
        if (Math.hypot(column - x, row - y) <= reach) this.values[row * this.width + column] = value;
  }

  // From one pixel to another, without gaps however fast a hand moves.
  line(fromX, fromY, x, y, size, value) {
    const steps = Math.max(Math.abs(x - fromX), Math.abs(y - fromY), 1);
    for (let step = 0; step <= steps; step++)
      this.dot(Math.round(fromX + (x - fromX) * step / steps), Math.round(fromY + (y - fromY) * step / steps), size, value);
  }

  clear() { this.begin(); this.values.fill(0); }
  undo() { return this.step(this.past, this.future); }
  redo() { return this.step(this.future, this.past); }
  step(from, to) {
    if (!from.length) return false;
    to.push(this.values);
    this.values = from.pop();
    return true;
  }
}

const toBase64 = (bytes) => {
  let text = "";
  for (let place = 0; place < bytes.length; place += 4096) text += String.fromCharCode(...bytes.subarray(place, place + 4096));
  return btoa(text);
};
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
