// The queue by keys: the next photograph is there at once, and an answer stays in this browser until the server has it.
"use strict";

const queue = document.getElementById("queue");
const cards = document.getElementById("cards");
const say = (text) => { document.getElementById("status").textContent = text; };
const meta = (name) => document.querySelector(`meta[name="recast-${name}"]`).content;
const identity = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const OUTBOX = `recast-outbox-${meta("person")}`;
const AHEAD = 3;          // hidden cards below which more are fetched
const RETRY = 2000;       // milliseconds after which an answer is sent again
const answered = [];      // {card, decision}: what can be undone
let left = Number(queue.dataset.left);
let shown = performance.now();
let isSending = false;
let isFetching = false;
let isHeat = false;

const outbox = () => JSON.parse(localStorage.getItem(OUTBOX) || "[]");
const store = (entries) => localStorage.setItem(OUTBOX, JSON.stringify(entries));
const current = () => cards.querySelector(".card:not([hidden])");

function post(path, fields) {
  store([...outbox(), { path, fields }]);
  send();
}

async function send() {
  if (isSending) return;
  isSending = true;
  for (let entry = outbox()[0]; entry; entry = outbox()[0]) {
    let response;
    try {
      response = await fetch(entry.path, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: new URLSearchParams({ ...entry.fields, token: meta("token") }),
      });
    } catch {
      response = null;
    }
    if (!response || response.status >= 500 || response.status === 429) {
      say(`${outbox().length} ${queue.dataset.unsaved}`);
      await new Promise((wake) => setTimeout(wake, RETRY));
      continue;
    }
    if (response.status === 401 || response.status === 403) {
      say(`${outbox().length} ${queue.dataset.unsaved} ${queue.dataset.enter}`);
      break;
    }
    const result = await response.json();
    store(outbox().slice(1));
    if (result.refused) say(result.refused);
    else say((result.faults || []).join(" ") || queue.dataset.saved);
  }
  isSending = false;
}

function show(card) {
  for (const each of cards.querySelectorAll(".card")) each.hidden = each !== card;
  document.getElementById("done").hidden = Boolean(card) || left > 0;  // else more are on their way
  document.getElementById("left").textContent = left.toLocaleString("en");
  document.getElementById("undo").hidden = !answered.length && !queue.dataset.last;
  shown = performance.now();
  if (card) {
    paint(card);
    compare(card);
    for (const next of cards.querySelectorAll(".card[hidden]")) compare(next);
  }
  fetchMore();
}

function answer(card, label, kind) {
  const decision = card.dataset.decision;
  const comment = card.querySelector("[name=comment]").value;
  const seconds = ((performance.now() - shown) / 1000).toFixed(1);
  post("/answer", { decision, queue: queue.dataset.queue, sha256: card.dataset.sha256, label, kind, seconds, comment });
  answered.push({ card, decision });
  card.remove();
  left = Math.max(0, left - 1);
  show(cards.querySelector(".card"));
}

function undo() {
  const last = answered.pop();
  const withdraws = last ? last.decision : queue.dataset.last;
  if (!withdraws) return say(queue.dataset.nothing);
  queue.dataset.last = "";
  post("/withdraw", { decision: identity(), withdraws });
  if (!last) return reloadWhenSent();
  last.card.dataset.decision = identity();
  cards.prepend(last.card);
  left += 1;
  show(last.card);
  say(queue.dataset.undone);
}

function reloadWhenSent() {
  if (outbox().length) setTimeout(reloadWhenSent, 100);
  else location.reload();
}

async function fetchMore() {
  const there = Array.from(cards.querySelectorAll(".card"), (card) => card.dataset.sha256);
  if (isFetching || there.length > AHEAD || left <= there.length) {
    if (!there.length && left > 0) setTimeout(fetchMore, RETRY);
    return;
  }
  isFetching = true;
  const skip = [...there, ...outbox().map((entry) => entry.fields.sha256)].filter(Boolean).join(",");
  try {
    const response = await fetch(`/queue/${queue.dataset.queue}?part=true&skip=${skip}`);
    if (response.ok && !response.redirected) {
      const fragment = new DOMParser().parseFromString(await response.text(), "text/html");
      const isNew = (card) => !cards.querySelector(`[data-sha256="${card.dataset.sha256}"]`);
      const added = Array.from(fragment.querySelectorAll(".card")).filter(isNew);
      cards.append(...added);
      if (!added.length && !there.length) left = 0;
    }
  } catch {
    setTimeout(fetchMore, RETRY);
  }
  isFetching = false;
  const first = cards.querySelector(".card");
  if (!current() && (first || !left)) show(first);
  else for (const next of cards.querySelectorAll(".card[hidden]")) compare(next);
}

function paint(card) {
  const image = card.querySelector(".photograph");
  const button = card.querySelector(".heat");
  const wanted = isHeat && button ? `/heat/${card.dataset.sha256}` : `/photograph/${card.dataset.sha256}`;
  if (image.getAttribute("src") !== wanted && !image.getAttribute("src").includes("whole")) image.src = wanted;
  image.onerror = () => {
    if (!image.getAttribute("src").startsWith("/heat")) return;
    fetch(image.src).then((response) => response.json()).then((result) => say(result.refused)).catch(() => {});
    image.src = `/photograph/${card.dataset.sha256}`;
  };
  if (button) button.setAttribute("aria-pressed", String(isHeat));
}

function zoom(card) {
  const isZoomed = card.querySelector(".frame").classList.toggle("zoomed");
  const image = card.querySelector(".photograph");
  if (!isHeat) image.src = `/photograph/${card.dataset.sha256}${isZoomed ? "?whole=true" : ""}`;
  card.querySelector(".zoom").setAttribute("aria-pressed", String(isZoomed));
}

async function compare(card) {
  const pair = card.querySelector(".pair");
  if (pair.dataset.asked) return;
  pair.dataset.asked = "yes";
  const response = await fetch(`/neighbors/${card.dataset.sha256}`).catch(() => null);
  if (!response || !response.ok) return;
  for (const { sha256, label } of await response.json()) {
    const figure = document.createElement("figure");
    const image = document.createElement("img");
    const caption = document.createElement("figcaption");
    image.src = `/labeled/${sha256}`;
    image.alt = caption.textContent = `${pair.parentElement.dataset.labels} ${label}`;
    figure.append(image, caption);
    pair.append(figure);
  }
}

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.target.id === "undo") {
    event.preventDefault();
    undo();
  } else if (button && button.name === "label") {
    event.preventDefault();
    answer(event.target.closest(".card"), button.value, button.dataset.kind || "");
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[type=button]");
  const card = event.target.closest(".card");
  if (!card) return;
  if (button && button.classList.contains("heat")) {
    isHeat = !isHeat;
    paint(card);
  } else if (button && button.classList.contains("zoom")) zoom(card);
  else if (event.target.classList.contains("photograph")) zoom(card);
});

document.addEventListener("keydown", (event) => {
  const card = current();
  const isTyping = event.target.tagName === "INPUT";
  if (isTyping && (event.key === "Escape" || event.key === "Enter")) {
    event.preventDefault();
    return event.target.blur();
  }
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  if (key === "u") return undo();
  if (!card) return;
  if (key === "m") {
    event.preventDefault();
    return card.querySelector("[name=comment]").focus();
  }
  const button = card.querySelector(`button[data-key="${CSS.escape(key)}"]`);
  if (button) {
    event.preventDefault();
    button.click();
  }
});

window.addEventListener("beforeunload", (event) => { if (outbox().length) event.preventDefault(); });
window.addEventListener("online", send);
show(current());
send();
