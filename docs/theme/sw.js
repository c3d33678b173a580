/* Keeps what was loaded, so that Python and the pages already read are there
   without a network. With one, everything is asked for anew. The runtime's
   files belong to the version in the name of the cache, and are kept once. */
"use strict";
const CACHE = "python-0.27.7-numpy-2.0.2"; // docs/vendored.json has the same versions
const RUNTIME = /\/pyodide\/(?!book\.zip$|worker\.js$)/;

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    const kept = RUNTIME.test(request.url) && (await cache.match(request));
    if (response.ok && !kept) cache.put(request, response.clone()).catch(() => {}); // a full disk is no error
    return response;
  } catch (error) {
    const found = await cache.match(request);
    if (found) return found;
    throw error;
  }
}

async function takeOver() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await clients.claim();
}

self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(takeOver());
self.onfetch = (event) => {
  const { request } = event;
  const ours = request.method === "GET" && request.url.startsWith(self.registration.scope);
  if (ours) event.respondWith(answer(request));
};
