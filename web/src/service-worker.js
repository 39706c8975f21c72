// Keeps the page's files, so that it works without a network once it was loaded. build.mjs fills in the two constants.
const CACHE = `tabletop-${"__VERSION__"}`;
const FILES = [/* __FILES__ */];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

self.addEventListener("activate", (event) => {
  const removeOld = async () => {
    for (const name of await caches.keys())
      if (name.startsWith("tabletop-") && name !== CACHE) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(removeOld());
});

// The network first: who trains a new model and builds again must not see the old one.
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== location.origin) return;
  const kept = async () => (await caches.match(event.request, { ignoreSearch: true })) ?? Response.error();
  event.respondWith(fetch(event.request).catch(kept));
});
