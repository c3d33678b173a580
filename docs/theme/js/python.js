/* The page's side of Python: one worker, started when it is first needed. */
const KEEPER = new URL("../sw.js", import.meta.url);
const WORKER = new URL("../pyodide/worker.js", import.meta.url);
const LIMITS = { start: 60, run: 60 }; // seconds

let worker = null;
let ready = null;
let module = null; // compiled once, handed on when the worker is replaced
let running = null; // {id, onText, done, timer}
let count = 0;
let onLoss = () => {}; // told when Python and its variables are gone

export const whenLost = (tell) => (onLoss = tell);

function end(result) {
  if (worker) {
    worker.terminate();
    worker = ready = null;
    onLoss();
  }
  finish(result);
}

function finish(result) {
  if (!running) return;
  clearTimeout(running.timer);
  const { done } = running;
  running = null;
  done(result);
}

/* Once Python runs: what the page and the worker have loaded is asked for once
   more, through the keeper. Where there is none (without https, in a private
   window), Python works all the same. */
async function keep(loadedByWorker) {
  const keeper = navigator.serviceWorker;
  if (!keeper || keeper.controller) return;
  const claimed = new Promise((resolve) => keeper.addEventListener("controllerchange", resolve, { once: true }));
  await keeper.register(KEEPER);
  await claimed;
  const loadedHere = performance.getEntriesByType("resource").map(({ name }) => name);
  const ours = new URL("./", KEEPER).href;
  for (const url of new Set([location.href.split("#")[0], WORKER.href, ...loadedHere, ...loadedByWorker])) {
    if (url.startsWith(ours)) fetch(url).catch(() => {});
  }
}

/* Resolves when the new worker is ready; rejects with words when it fails. */
function boot() {
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      clearTimeout(timer);
      worker?.terminate();
      worker = ready = null;
      reject(new Error(`Python could not start: ${why}. Press Run to try again.`));
    };
    const timer = setTimeout(() => fail(`no answer in ${LIMITS.start} seconds`), LIMITS.start * 1000);
    try {
      worker = new Worker(WORKER);
    } catch (error) {
      fail(error.message);
      return;
    }
    worker.onerror = (event) => fail(event.message || "its files cannot be read");
    worker.onmessage = ({ data }) => {
      if (data.type === "module") module = data.module;
      else if (data.type === "failed") fail(data.error);
      else if (data.type === "ready") {
        clearTimeout(timer);
        resolve();
        keep(data.loaded).catch(() => {});
      } else if (data.id !== running?.id) return;
      else if (data.type === "text") running.onText(data.text);
      else if (data.result.ended) end({ stopped: `Python ended: ${data.result.ended}.` });
      else finish(data.result);
    };
    worker.postMessage({ type: "start", module });
  });
}

export function start() {
  ready ??= boot();
  ready.catch(() => {}); // whoever runs code is told
  return ready;
}

/* Runs code; one at a time. The result has `value`; `error`, `message` and
   `traceback`; or `stopped`, in words. */
export async function run({ code, name, space, fresh = false }, onText) {
  const id = ++count;
  const result = new Promise((done) => (running = { id, onText, done }));
  try {
    await Promise.race([start(), result]); // or Stop is pressed
  } catch (error) {
    finish({ stopped: error.message });
  }
  if (running?.id === id && worker) {
    running.timer = setTimeout(() => stop(`Stopped after ${LIMITS.run} seconds`), LIMITS.run * 1000);
    worker.postMessage({ type: "run", id, code, name, space, fresh });
  }
  return result;
}

export function stop(why = "Stopped") {
  if (!running) return;
  end({ stopped: `${why}. The variables of this page are gone.` });
  start(); // so that the next Run need not wait
}
