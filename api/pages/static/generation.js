// The page of one job that draws: previews as they come, then the pictures.

import { follow } from "./follow.js";

const work = document.getElementById("work");

if (work) {
  const bar = document.getElementById("bar");
  const said = document.getElementById("said");
  const figures = [...document.querySelectorAll("#previews figure")];
  follow(work.dataset.events, {
    progress({ state, done, total }) {
      if (total) bar.max = total;
      bar.value = done;
      said.textContent = state === "queued" ? "Waiting for a worker…" : total ? `Drawing: ${done} of ${total} tokens` : "Drawing…";
    },
    preview({ number, b64_json }) {
      const figure = figures[number];
      if (!figure) return;
      const picture = figure.querySelector("img");
      picture.src = `data:image/png;base64,${b64_json}`;
      picture.hidden = false;
      figure.querySelector(".blankness").hidden = true;
    },
    done() { location.reload(); },
    lost(text) { said.textContent = text; },
  });
}
