// The presenter view: arrow keys, or a clicker (which sends Page Down and Page Up), go on and back.

const ON = ["ArrowRight", "PageDown"];
const BACK = ["ArrowLeft", "PageUp"];
// What goes on and back on a page, the first that is there: a lesson's buttons, a lab's links, the race's start.
const FORWARD = [".st-key-lessons-next button", ".st-key-lessons-after button", ".st-key-labs-next a", ".st-key-race-go button"];
const BACKWARD = [".st-key-lessons-back button", ".st-key-labs-back a"];
// There, an arrow key has a meaning of its own.
const ARROWS = "input, textarea, select, canvas, [contenteditable], [role=slider], [role=radio], [role=combobox], [role=tab], .kd-flow button";

function turn(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const places = ON.includes(event.key) ? FORWARD : BACK.includes(event.key) ? BACKWARD : null;
  if (!places || !document.querySelector(".st-key-presenting")) return;
  if (event.key.startsWith("Arrow") && event.target.closest?.(ARROWS)) return;
  clearTimeout(waiting);
  if (press(places, 50)) event.preventDefault(); // where nothing goes on, the key scrolls the page
}

// Whether it does or may yet: a page that is still being drawn has its buttons last, and no early key is lost.
let waiting;
function press(places, patience) {
  const found = places.map((place) => document.querySelector(place)).find((place) => place && !place.disabled);
  const drawn = document.querySelector("[data-test-script-state=notRunning]");
  if (found) found.click();
  else if (patience && !drawn) waiting = setTimeout(press, 100, places, patience - 1);
  return Boolean(found || !drawn);
}

export default function () {
  if (window.kdTurns) return; // once for the whole page
  window.kdTurns = true;
  document.addEventListener("keydown", turn, true);
}
