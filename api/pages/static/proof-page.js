// The page that checks a proof file: nothing leaves the browser.

import { CannotCheck, Refused, ableToCheck, hex, openProof } from "./proof.js";

const form = document.getElementById("proof");
const answer = document.getElementById("answer");
const LONGEST = 1_200_001; // bytes that are read of a file

function show(template, title, says) {
  answer.replaceChildren(document.getElementById(template).content.cloneNode(true));
  answer.querySelector("h2").textContent = title;
  answer.querySelector(".says").textContent = says;
  answer.focus();
}

function addFact(name, value) {
  const facts = answer.querySelector("dl");
  const term = document.createElement("dt"), said = document.createElement("dd"), code = document.createElement("code");
  term.textContent = name;
  code.textContent = value;
  said.append(code);
  facts.append(term, said);
}

function prove(found) {
  const { record, index, leaf, checkpoint, witnessed } = found;
  show("yes", `Proven: entry ${index} of ${checkpoint.origin}`,
    `The log signed a tree of ${checkpoint.size} entries that has exactly this record at exactly this place.`);
  for (const one of witnessed) addFact("Witness", `${one.name} saw it ${new Date(Number(one.seconds) * 1000).toISOString()}`);
  addFact("Leaf", hex(leaf));
  addFact("Root", hex(checkpoint.root));
  for (const [name, value] of Object.entries(record)) addFact(name, typeof value === "object" ? JSON.stringify(value) : String(value));
}

function lines(text) { return text.split("\n").map((one) => one.trim()).filter(Boolean); }

async function check() {
  answer.replaceChildren();
  const file = document.getElementById("proof-file").files[0];
  if (!file) return show("unable", "No file", "Choose a proof file first.");
  try {
    const data = new Uint8Array(await file.slice(0, LONGEST).arrayBuffer());
    const keys = lines(document.getElementById("log-key").value);
    prove(await openProof(data, keys, lines(document.getElementById("witness-keys").value)));
  } catch (fault) {
    if (fault instanceof Refused) show("no", "Not proven", `${fault.message}. Do not rely on this file.`);
    else if (fault instanceof CannotCheck) show("unable", "Cannot check here", fault.message);
    else show("unable", "Cannot check here", `The file could not be read: ${fault.message}`);
  }
}

form.hidden = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
ableToCheck().catch((fault) => show("unable", "Cannot check here", fault.message));
