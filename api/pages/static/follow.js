// Server-sent events of a job, taken up again after a cut; says what happens meanwhile.

const AGAIN = [1, 2, 5, 10, 30]; // seconds before a stream that the browser gave up is opened anew

export function follow(address, { progress, preview, done, lost }) {
  let source, failures = 0, last = null;

  function open() {
    source = new EventSource(address);
    const listen = (name, act) => source.addEventListener(name, (event) => {
      failures = 0;
      act(JSON.parse(event.data));
    });
    listen("progress", (state) => {
      last = state;
      progress(state);
    });
    source.onopen = () => { if (last) progress(last); }; // after a cut only what is new is sent
    if (preview) listen("preview", preview);
    listen("done", (job) => {
      source.close();
      done(job);
    });
    source.onerror = fail;
  }

  function fail() {
    lost("The connection broke. The work goes on, and this page connects again by itself.");
    if (source.readyState !== EventSource.CLOSED) return;
    if (failures === AGAIN.length) {
      lost("The service does not answer. The work may go on: load this page again in a while.");
      return;
    }
    setTimeout(open, 1000 * AGAIN[failures]);
    failures += 1;
  }

  addEventListener("online", () => {
    if (source.readyState === EventSource.OPEN) return;
    source.close();
    open();
  });
  open();
}
