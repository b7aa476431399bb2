"use strict";
// What is seen is one state: the view, the zoom, the pixel at the middle, and where the divider is.
// `draw` puts all of it on the page.

const stage = document.getElementById("stage");
const divider = document.getElementById("divider");
const [left, right, map] = stage.querySelectorAll(".pane");
const pictures = [...document.querySelectorAll("[data-picture]")];
const differences = [...document.querySelectorAll("[data-pair]")];
const letters = ["A", "B", "Original"];
const width = Number(stage.dataset.width), height = Number(stage.dataset.height);

const most = 64, least = 1 / 16; // screen pixels for one of the picture
const state = {
  view: "slider",
  chosen: [0, 1], // the pictures on the left and on the right
  scale: null, // CSS pixels for one of the picture; null: all of it is seen
  x: width / 2, // the pixel at the middle of a pane
  y: height / 2,
  split: 0.5, // the part of the pane that is left of the divider
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const density = () => window.devicePixelRatio || 1;
const pane = () => (state.view === "difference" ? map : left);

function fitting() {
  const { clientWidth, clientHeight } = pane();
  const whole = Math.min(clientWidth / width, clientHeight / height);
  return Math.min(whole, 4); // small ones are not blown up to the whole window
}

const scale = () => state.scale ?? fitting();

function place(images) {
  const s = scale();
  const screen = (css) => Math.round(css * density()) / density();
  const x = screen(pane().clientWidth / 2 - state.x * s);
  const y = screen(pane().clientHeight / 2 - state.y * s);
  for (const image of images) image.style.transform = `translate(${x}px, ${y}px) scale(${s})`;
}

function draw() {
  const s = scale();
  const keep = (middle, size, room) =>
    size * s <= room ? size / 2 : clamp(middle, room / 2 / s, size - room / 2 / s);
  state.x = keep(state.x, width, pane().clientWidth);
  state.y = keep(state.y, height, pane().clientHeight);

  const slider = state.view === "slider";
  stage.dataset.view = state.view;
  const overflows = width * s > pane().clientWidth + 1 || height * s > pane().clientHeight + 1;
  stage.classList.toggle("overflowing", overflows);
  stage.classList.toggle("fitting", !overflows);
  stage.classList.toggle("sharp", s * density() >= 2);
  place(state.view === "difference" ? differences : pictures);

  divider.hidden = !slider;
  divider.style.left = `${100 * state.split}%`;
  right.style.clipPath = slider ? `inset(0 0 0 ${100 * state.split}%)` : "";
  const percent = Math.round(100 * state.split);
  const [a, b] = state.chosen.map((i) => letters[i]);
  divider.setAttribute("aria-valuenow", percent);
  divider.setAttribute("aria-valuetext", `${a} on ${percent} %, ${b} on ${100 - percent} %`);

  const shown = 100 * s * density();
  document.getElementById("scale").value = `${shown < 10 ? shown.toFixed(1) : Math.round(shown)} %`;
}

function choose() {
  [left, right].forEach((side, i) => {
    const picture = pictures[state.chosen[i]];
    if (picture.parentNode !== side) {
      side.querySelectorAll("img").forEach((other) => document.getElementById("pictures").append(other));
      side.append(picture);
    }
    const letter = letters[state.chosen[i]];
    side.querySelector(".label").textContent = letter === picture.alt ? letter : `${letter}  ${picture.alt}`;
  });
  const pair = [...state.chosen].sort().join("-");
  for (const image of differences) {
    image.hidden = image.dataset.pair !== pair;
    if (image.hidden) continue;
    document.getElementById("spread").textContent =
      `Mean of all samples ${image.dataset.mean}, largest ${image.dataset.largest}.`;
  }
}

function show(view) {
  state.view = view;
  const difference = view === "difference";
  left.hidden = right.hidden = difference;
  map.hidden = !difference;
  document.querySelector(".legend").hidden = !difference;
  draw();
}

function amplify(gain) {
  for (const slope of document.querySelectorAll("#amplify [slope]")) slope.setAttribute("slope", gain);
  const full = 255 / gain;
  document.getElementById("half").textContent = Math.round(full / 2);
  document.getElementById("most").textContent = Math.round(full) + (gain > 1 ? " or more" : "");
}

// Keeps what is at that place of a pane where it is; by default its middle.
function zoom(to, dx = 0, dy = 0) {
  const before = scale();
  const after = clamp(to, Math.min(least / density(), fitting()), most / density());
  state.x += dx / before - dx / after;
  state.y += dy / before - dy / after;
  state.scale = after;
  draw();
}

function fit() {
  state.scale = null;
  draw();
}

// The next power of two of screen pixels, so that every pixel is as large as the others.
function step(up) {
  const now = Math.log2(scale() * density());
  const next = up ? Math.floor(now + 0.01) + 1 : Math.ceil(now - 0.01) - 1;
  zoom(2 ** next / density());
}

function move(dx, dy) {
  state.x -= dx / scale();
  state.y -= dy / scale();
  draw();
}

function split(to) {
  state.split = clamp(to, 0, 1);
  draw();
}

// From the middle of the pane that is there, in CSS pixels.
function placeIn(event) {
  const side = state.view === "side" && event.clientX > right.getBoundingClientRect().left;
  const box = (side ? right : pane()).getBoundingClientRect();
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
}

function splitAt(event) {
  const box = stage.getBoundingClientRect();
  split((event.clientX - box.left) / box.width);
}

const pointers = new Map(); // the fingers and buttons that are down
let dividing = false;

stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, event);
  const grabbed = divider.contains(event.target);
  dividing =
    pointers.size === 1 &&
    state.view === "slider" &&
    (grabbed || !stage.classList.contains("overflowing"));
  stage.classList.toggle("dragging", !dividing);
  (grabbed ? divider : stage).focus({ preventScroll: true, focusVisible: false });
  if (grabbed) event.preventDefault();
});

stage.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const others = [...pointers.values()].filter((other) => other.pointerId !== event.pointerId);
  pointers.set(event.pointerId, event);
  if (dividing) return splitAt(event);
  if (others.length === 0) return move(event.clientX - before.clientX, event.clientY - before.clientY);
  const [other] = others;
  const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  const middle = (one) => ({
    clientX: (one.clientX + other.clientX) / 2,
    clientY: (one.clientY + other.clientY) / 2,
  });
  const [now, then] = [middle(event), middle(before)];
  move(now.clientX - then.clientX, now.clientY - then.clientY);
  zoom((scale() * apart(event)) / Math.max(apart(before), 1), ...placeIn(now));
});

for (const end of ["pointerup", "pointercancel"])
  stage.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) dividing = false;
    stage.classList.remove("dragging");
  });

// A wheel that could scroll the page zooms with Ctrl only; a pinch on a trackpad is such a wheel.
stage.addEventListener(
  "wheel",
  (event) => {
    const root = document.documentElement;
    const alone = window.self === window.top && root.scrollHeight <= window.innerHeight;
    if (!alone && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 20 : 1;
    zoom(scale() * 2 ** (-event.deltaY * lines * (event.ctrlKey ? 0.012 : 0.004)), ...placeIn(event));
  },
  { passive: false },
);

stage.addEventListener("dblclick", (event) => {
  if (state.scale === null) zoom(1 / density(), ...placeIn(event));
  else fit();
});

divider.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -0.01, ArrowDown: -0.01, ArrowRight: 0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1 };
  if (event.key in steps) split(state.split + steps[event.key]);
  else if (event.key === "Home") split(0);
  else if (event.key === "End") split(1);
  else return;
  event.preventDefault();
  event.stopPropagation();
});

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const far = 60;
  const actions = {
    "+": () => step(true),
    "=": () => step(true),
    "-": () => step(false),
    0: fit,
    1: () => zoom(1 / density()),
    ArrowLeft: () => move(far, 0),
    ArrowRight: () => move(-far, 0),
    ArrowUp: () => move(0, far),
    ArrowDown: () => move(0, -far),
  };
  const moves = event.key.startsWith("Arrow") && !stage.classList.contains("overflowing");
  if (!(event.key in actions) || moves) return;
  actions[event.key]();
  event.preventDefault();
});

for (const radio of document.querySelectorAll("[name=view]"))
  radio.addEventListener("change", () => show(radio.value));
document.getElementById("in").addEventListener("click", () => step(true));
document.getElementById("out").addEventListener("click", () => step(false));
document.getElementById("fit").addEventListener("click", fit);
document.getElementById("whole").addEventListener("click", () => zoom(1 / density()));
const gain = document.getElementById("gain");
gain.addEventListener("change", () => amplify(Number(gain.value)));

["left", "right"].forEach((side, i) => {
  const chooser = document.getElementById(side);
  if (!chooser) return;
  chooser.addEventListener("change", () => {
    const before = [...state.chosen];
    state.chosen[i] = Number(chooser.value);
    if (state.chosen[0] === state.chosen[1]) state.chosen[1 - i] = before[i]; // they change places
    ["left", "right"].forEach((name, n) => (document.getElementById(name).value = state.chosen[n]));
    choose();
    draw();
  });
});

new ResizeObserver(draw).observe(stage);
amplify(Number(gain.value));
choose();
show("slider");
