// Server-sent events of a job, taken up again after a cut; says what happens meanwhile.

export function follow(address, { progress, preview, done, lost }) {
  const source = new EventSource(address);
  const read = (event) => JSON.parse(event.data);
  source.addEventListener("progress", (event) => progress(read(event)));
  if (preview) source.addEventListener("preview", (event) => preview(read(event)));
  source.addEventListener("done", (event) => {
    source.close();
    done(read(event));
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      lost("The service does not tell how far this is. The work goes on: load this page again in a while.");
    } else {
      lost("The connection broke. The work goes on; this page connects again by itself.");
    }
  };
}
