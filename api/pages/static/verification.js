// The page of one check: its progress, and the browser's own copy of the picture.

import { follow } from "./follow.js";

const work = document.getElementById("work");
const own = document.getElementById("own");

if (work) {
  const bar = document.getElementById("bar");
  const said = document.getElementById("said");
  const steps = [...document.querySelectorAll("#steps li")];
  follow(work.dataset.events, {
    progress({ state, done, total }) {
      bar.max = total || 2;
      bar.value = done;
      said.textContent = state === "queued" ? "Waiting for a worker…" : "Checking…";
      for (const step of steps) {
        const number = Number(step.dataset.step);
        step.className = number <= done ? "done" : number === done + 1 && state === "running" ? "now" : "";
      }
    },
    done() { location.reload(); },
    lost(text) { said.textContent = text; },
  });
}

if (own) {
  const copy = sessionStorage.getItem(`picture ${own.dataset.job}`);
  if (copy) {
    own.querySelector("img").src = copy;
    own.hidden = false;
  }
}
