/* One Python for a page. Messages in:  {type: "start", module}
                                        {type: "run", id, code, name, space, fresh}
   Messages out: {type: "ready", loaded}, {type: "failed", error}, {type: "module", module},
                 {type: "text", id, text}, {type: "done", id, result} */
"use strict";
const HERE = new URL("./", self.location.href).href;
const LONGEST_OUTPUT = 200_000; // characters
const PACKAGES = "/lib/python3.12/site-packages";

let run = null;
let current = 0;
let written = 0;

/* Compiles the runtime once for a page: the page hands it on. */
function handOn(module) {
  const streaming = WebAssembly.instantiateStreaming;
  const plainFetch = self.fetch.bind(self);
  self.fetch = (url, options) => {
    const compiled = module && String(url.url || url).endsWith(".wasm");
    return compiled ? Promise.resolve(new Response("")) : plainFetch(url, options);
  };
  WebAssembly.instantiateStreaming = async (source, imports) => {
    if (module) return { module, instance: await WebAssembly.instantiate(module, imports) };
    const made = await streaming(source, imports);
    postMessage({ type: "module", module: made.module });
    return made;
  };
}

function writer() {
  const decoder = new TextDecoder();
  return {
    isatty: false,
    write(bytes) {
      let text = decoder.decode(bytes, { stream: true });
      if (written <= LONGEST_OUTPUT) {
        written += text.length;
        if (written > LONGEST_OUTPUT) text += `\n[output cut at ${LONGEST_OUTPUT} characters]\n`;
        postMessage({ type: "text", id: current, text });
      }
      return bytes.length;
    },
  };
}

async function start(module) {
  handOn(module);
  const archive = async (name) => {
    const response = await fetch(HERE + name);
    if (!response.ok) throw new Error(`${name}: ${response.status}`);
    return response.arrayBuffer();
  };
  const numpy = archive("numpy-trim-pyc.whl");
  const book = archive("book.zip");
  importScripts(HERE + "pyodide.js");
  const python = await loadPyodide({
    indexURL: HERE,
    lockFileURL: HERE + "lock-min.json",
    stdLibURL: HERE + "std-pyc.zip",
  });
  python.unpackArchive(await numpy, "wheel");
  python.unpackArchive(await book, "zip", { extractDir: PACKAGES });
  python.setStdout(writer());
  python.setStderr(writer());
  python.setStdin({ error: true });
  run = python.pyimport("book_runner").run;
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  postMessage({ type: "ready", loaded });
}

self.onmessage = async ({ data }) => {
  if (data.type === "start") {
    try {
      await start(data.module);
    } catch (error) {
      postMessage({ type: "failed", error: String(error.message || error) });
    }
    return;
  }
  current = data.id;
  written = 0;
  try {
    const result = JSON.parse(run(data.code, data.name, data.space, data.fresh));
    postMessage({ type: "done", id: data.id, result });
  } catch (error) {
    // Python itself has ended: out of memory, or too deep a recursion
    postMessage({ type: "done", id: data.id, result: { ended: String(error.message || error) } });
  }
};
