// The form for a picture: drop, paste, a preview, progress, and what to do when sending fails.
// Without this file the form works as well: the browser sends it by itself.

const form = document.getElementById("check");
const KEPT = 512; // px a side of the copy that this browser keeps for the result page

if (form) {
  const input = form.querySelector("input[type=file]");
  const shown = document.getElementById("chosen");
  const button = document.getElementById("send");
  const bar = document.getElementById("sending");
  const said = document.getElementById("said");
  let copy = null;

  form.querySelector(".scripted").hidden = false;
  const say = (text) => { said.textContent = text; };

  function refuse(file) {
    if (!file) return "Choose a picture first.";
    const limit = Number(form.dataset.limit);
    if (file.size === 0) return "This file is empty. Choose another.";
    if (file.size > limit) {
      return `This file has ${Math.ceil(file.size / 2 ** 20)} MiB; at most ${Math.floor(limit / 2 ** 20)} MiB are taken. ` +
        "Send a smaller one.";
    }
    if (file.type && !["image/png", "image/jpeg", "image/webp"].includes(file.type)) {
      return `This is no PNG, JPEG or WebP (the browser calls it ${file.type}). Choose another file.`;
    }
    return null;
  }

  async function show() {
    const file = input.files[0];
    const fault = refuse(file);
    shown.hidden = true;
    copy = null;
    say(fault ?? "");
    if (fault) return;
    try {
      copy = await shrink(file);
      shown.src = copy;
      shown.hidden = false;
    } catch {
      say("This browser cannot show the picture. You can send it all the same.");
    }
  }

  async function shrink(file) {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, KEPT / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/webp", 0.85);
  }

  function take(files) {
    const file = [...files].find((one) => one.type.startsWith("image/")) ?? files[0];
    if (!file) return;
    const held = new DataTransfer();
    held.items.add(file);
    input.files = held.files;
    show();
  }

  function working(on) {
    button.disabled = on;
    bar.hidden = !on;
  }

  function send() {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total; };
    request.onerror = () => {
      working(false);
      say("The connection broke, so the picture was not checked. See whether you are online, then press “Check it” again.");
    };
    request.onload = () => {
      if (request.status === 200) return arrive(request.responseURL);
      working(false);
      say(explain(request));
    };
    working(true);
    bar.value = 0;
    say("Sending the picture…");
    request.send(new FormData(form));
  }

  function arrive(address) {
    try {
      if (copy) sessionStorage.setItem(`picture ${new URL(address).pathname.split("/").pop()}`, copy);
    } catch { /* a full store costs the copy alone */ }
    location.assign(address);
  }

  function explain(request) {
    try {
      const problem = JSON.parse(request.responseText);
      const limit = problem.errors.map((one) => one.limit).filter(Boolean)[0];
      const wait = request.getResponseHeader("Retry-After");
      return `${problem.title}: ${problem.detail}.` + (limit ? ` Taken are: ${limit}.` : "") +
        (wait ? ` Try again in ${wait} seconds.` : " Choose another file, or try again.");
    } catch {
      return `The service answered with status ${request.status}. Try again; if it stays so, tell whoever runs it.`;
    }
  }

  input.addEventListener("change", show);
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => { if (event.clipboardData.files.length) take(event.clipboardData.files); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fault = refuse(input.files[0]);
    if (fault) say(fault);
    else send();
  });
}
