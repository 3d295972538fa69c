"use strict";
// How the page asks a model in this browser, by onnxruntime-web. The server's model.js asks a server.

const about = "Everything is computed in this browser: no picture leaves it.";
const ABSENT = "onnxruntime-web is not here: run `make demo` in the clone, which fetches it from npm, and then `make docs`.";

// One thread, as more would need a server that isolates the page.
const loaded = new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = "onnxruntime/ort.wasm.min.js";
  script.onload = () => { ort.env.wasm.numThreads = 1; resolve(); };
  script.onerror = () => reject(new Error(ABSENT));
  document.head.append(script);
});

const models = async () => ["fashion_mnist_mini", "cifar10", "fashion_mnist_lipschitz"];

async function sample(path) {
  const reply = await fetch(path);
  return reply.ok ? reply.blob() : null;
}

// As the server's: the outputs have the names of the signatures.
async function opened(name) {
  await loaded;
  const [classifier, explainer] = await Promise.all(["classifier", "explainer"].map((file) => ort.InferenceSession.create(name + "/" + file + ".onnx")));
  const labels = (await (await fetch(name + "/labels.txt")).text()).trimEnd().split("\n");
  const samples = await Promise.all([0, 1, 2, 3, 4, 5].map((number) => sample(name + "/samples/" + number + ".png")));
  const shape = classifier.inputMetadata[0].shape.slice(1);
  return {
    labels,
    shape,
    samples: samples.filter(Boolean),
    signatures: ["serving_default", "explain"],
    ask: async (signature, image, { target, direction, rho } = {}) => {
      const feeds = { images: new ort.Tensor("float32", image, [1, ...shape]) };
      if (signature === "explain") {
        feeds.target = new ort.Tensor("int32", [target], [1]);
        feeds.direction = new ort.Tensor("int32", [direction], [1]);
        feeds.rho = new ort.Tensor("float32", [rho], [1]);
      }
      const outputs = await (signature === "explain" ? explainer : classifier).run(feeds);
      return Object.fromEntries(Object.entries(outputs).map(([key, { data, dims }]) => [key, dims.length > 1 ? data : data[0]]));
    },
  };
}
