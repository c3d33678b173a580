/* The page's side of Python: one worker, started when it is first needed. */
const WORKER = new URL("../pyodide/worker.js", import.meta.url);
export const LIMITS = { start: 60, run: 60 }; // seconds

let worker = null;
let ready = null;
let module = null; // compiled once, handed on when the worker is replaced
let running = null; // {id, onText, finish, timer}
let count = 0;
let losses = []; // told when Python and its variables are gone

export const onLoss = (tell) => losses.push(tell);

function end(result) {
  worker?.terminate();
  worker = ready = null;
  for (const tell of losses) tell();
  finish(result);
}

function finish(result) {
  if (!running) return;
  clearTimeout(running.timer);
  const { done } = running;
  running = null;
  done(result);
}

/* Resolves when Python is ready; rejects with words when it cannot start. */
export function start() {
  if (ready) return ready;
  ready = new Promise((resolve, reject) => {
    const fail = (why) => {
      reject(new Error(`Python could not start: ${why}. Press Run to try again.`));
      worker?.terminate();
      worker = ready = null;
    };
    const timer = setTimeout(() => fail(`no answer in ${LIMITS.start} seconds`), LIMITS.start * 1000);
    try {
      worker = new Worker(WORKER);
    } catch (error) {
      clearTimeout(timer);
      fail(error.message);
      return;
    }
    worker.onerror = (event) => {
      clearTimeout(timer);
      fail(event.message || "its files cannot be read");
    };
    worker.onmessage = ({ data }) => {
      if (data.type === "module") module = data.module;
      else if (data.type === "ready" || data.type === "failed") {
        clearTimeout(timer);
        data.type === "ready" ? resolve() : fail(data.error);
      } else if (data.id !== running?.id) return;
      else if (data.type === "text") running.onText(data.text);
      else if (data.result.ended) end({ stopped: `Python ended: ${data.result.ended}.` });
      else finish(data.result);
    };
    worker.postMessage({ type: "start", module });
  });
  ready.catch(() => {});
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
