"use strict";
// How our pages ask the server that they are of.

// TF Serving's JSON may hold Infinity and NaN, which JSON.parse refuses: null here.
async function read(reply) {
  const text = await reply.text();
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replace(/([[:,]\s*)(-?Infinity|NaN)(?=\s*[\],}])/g, "$1null"));
  }
}

// A server with a token wants it from the page as well: http://localhost:8501/#token=…
const given = new URLSearchParams(location.hash.slice(1));
const token = given.get("token");

async function told(path, body) {
  const asked = { headers: token ? { Authorization: "Bearer " + token } : {}, ...(body && { method: "POST", body: JSON.stringify(body) }) };
  const reply = await fetch(path, asked).catch(() => { throw new Error("The server does not answer. Is it still running?"); });
  const found = await read(reply);
  if (!reply.ok) throw new Error(found.error);
  return found;
}
