"use strict";
// How the page asks a server, by TF Serving's REST. Another model.js asks a model elsewhere.

// An image as rows of pixels.
function rows(image, [height, width, channels]) {
  const row = (_, y) => Array.from({ length: width }, (_, x) => Array.from(image.subarray(channels * (y * width + x), channels * (y * width + x + 1))));
  return Array.from({ length: height }, row);
}

const about = "";
const models = async () => (await told("/v1/models")).models;

// A model: its labels, the shape [height, width, channels] of its images, sample pictures, the names
// of its signatures, and a function that calls one on one image, with further numbers.
async function opened(name) {
  const model = "/v1/models/" + encodeURIComponent(name);
  const [{ metadata }, { labels }, { samples }] = await Promise.all(["/metadata", "/labels", "/samples"].map((path) => told(model + path)));
  const signatures = metadata.signature_def.signature_def;
  const shape = signatures.serving_default.inputs.images.tensor_shape.dim.slice(1).map((dim) => Number(dim.size));
  return {
    labels,
    shape,
    samples: samples.map((one) => new Blob([Uint8Array.from(atob(one), (letter) => letter.charCodeAt(0))], { type: "image/png" })),
    signatures: Object.keys(signatures),
    ask: async (signature, image, numbers = {}) => {
      const inputs = { images: [rows(image, shape)] };
      for (const [key, number] of Object.entries(numbers)) inputs[key] = [number];
      const { outputs } = await told(model + ":predict", { signature_name: signature, inputs });
      return Object.fromEntries(Object.entries(outputs).map(([key, [value]]) => [key, Array.isArray(value) ? value.flat(2) : value]));
    },
  };
}
