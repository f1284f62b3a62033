// Checks a .tlog-proof file (c2sp.org/tlog-proof@v1) against public keys, in the browser alone.
//
// It says "proven" exactly where `countermark proof check` does: provenance/ledger is the other
// writing of these rules, and a test holds the two against each other. Every format is read
// strictly: one text for one value. A fault is named as there: Malformed, NotProven, UnknownKey or
// WrongLog.

const MAX_PROOF = 1_200_000, MAX_NOTE = 1_000_000, MAX_RECORD = 65_535; // bytes
const MAX_SIGNATURES = 100, MAX_TEXT = 512, HASH = 32;
const MAX_SIZE = 2n ** 63n - 1n;
const HEADER = "c2sp.org/tlog-proof@v1", VERSION_LINE = "countermark-record/1\n";
const LOG_KEY = 0x01, WITNESS_KEY = 0x04;

export class Refused extends Error {
  constructor(fault, message) { super(message); this.fault = fault; }
}
export class CannotCheck extends Error {}

const malformed = (message) => new Refused("Malformed", message);
const notProven = (message) => new Refused("NotProven", message);

export async function ableToCheck() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(HASH), "Ed25519", false, ["verify"]);
  } catch {
    throw new CannotCheck("This browser has no Ed25519, or the page was not loaded over HTTPS or from this computer. Use the command.");
  }
}

export async function openProof(data, logKeys, witnessKeys = []) {
  await ableToCheck();
  const log = await all(logKeys, parseKey), witnesses = await all(witnessKeys, parseKey);
  const proof = parseProof(data);
  const signed = await openCheckpoint(proof.checkpoint, log, witnesses);
  const leaf = await sha256(bytes([0]), proof.record);
  await checkInclusion(proof, signed, leaf);
  return { record: parseRecord(proof.record), index: proof.index, leaf, ...signed };
}

export function parseProof(data) {
  if (data.length > MAX_PROOF) throw malformed(`proof is longer than ${MAX_PROOF} bytes`);
  const end = find(data, [10, 10]);
  const lines = utf8(end < 0 ? data : data.subarray(0, end), "proof").split("\n");
  if (end < 0 || lines[0] !== HEADER) throw malformed(`proof does not start with '${HEADER}'`);
  if (lines.length < 3 || !lines[1].startsWith("extra ") || !lines[2].startsWith("index ")) {
    throw malformed("proof does not have an extra line with the record, then an index line");
  }
  return {
    record: base64(lines[1].slice(6), "record of the proof"),
    index: decimal(lines[2].slice(6), "index of the proof"),
    path: lines.slice(3).map((line) => hash(line, "hash of the proof")),
    checkpoint: data.subarray(end + 2),
  };
}

// --- notes and checkpoints

export async function parseKey(text) {
  const [name, id, encoded] = splitKey(text);
  checkName(name);
  const key = base64(encoded, "verifier key");
  if (key.length !== 1 + HASH) throw malformed("verifier key is not of 32 bytes");
  if (key[0] !== LOG_KEY && key[0] !== WITNESS_KEY) throw malformed("verifier key is of an unknown type");
  const own = (await sha256(encode(`${name}\n`), key)).subarray(0, 4);
  if (hex(own) !== id) throw malformed("verifier key does not match its own key id");
  return { name, id, algorithm: key[0], public: key.subarray(1) };
}

function splitKey(text) {
  const first = text.indexOf("+"), second = text.indexOf("+", first + 1);
  if (first < 0 || second < 0) throw malformed("verifier key is not name+id+key");
  return [text.slice(0, first), text.slice(first + 1, second), text.slice(second + 1)];
}

// What Python calls a space, which is not quite what JavaScript calls one.
const SPACE = /[\u0000-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

function checkName(name) {
  if (!name || name.includes("+") || SPACE.test(name)) throw malformed(`not a key name: ${name.slice(0, 100)}`);
}

export function parseNote(data) {
  if (data.length > MAX_NOTE) throw malformed(`note is longer than ${MAX_NOTE} bytes`);
  const whole = utf8(data, "note");
  if (/[\u0000-\u0009\u000b-\u001f]/.test(whole)) throw malformed("note holds a control character");
  const gap = whole.lastIndexOf("\n\n");
  const lines = whole.slice(gap < 0 ? 0 : gap + 2).split("\n");
  if (gap < 0 || lines.pop() !== "" || !lines.length) {
    throw malformed("note has no signature lines, or does not end with a newline");
  }
  if (lines.length > MAX_SIGNATURES) throw malformed(`note has more than ${MAX_SIGNATURES} signatures`);
  return { text: whole.slice(0, gap + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const rest = line.startsWith("\u2014 ") ? line.slice(2) : null;
  const gap = rest === null ? -1 : rest.indexOf(" ");
  if (gap < 0) throw malformed("note has a line among its signatures that is none");
  const name = rest.slice(0, gap);
  checkName(name);
  const data = base64(rest.slice(gap + 1), `signature of ${name.slice(0, 100)}`);
  if (data.length <= 4) throw malformed(`signature of ${name.slice(0, 100)} is too short`);
  return { name, id: hex(data.subarray(0, 4)), blob: data.subarray(4) };
}

async function openNote(data, trusted) {
  const note = parseNote(data);
  const signers = [], times = new Map();
  for (const signature of note.signatures) {
    const key = trusted.find((one) => one.name === signature.name && one.id === signature.id);
    if (!key) continue;
    const seconds = await checkSignature(note.text, signature.blob, key);
    if (!signers.includes(key)) {
      signers.push(key);
      if (seconds !== null) times.set(key, seconds);
    }
  }
  return { note, signers, times };
}

async function checkSignature(text, blob, key) {
  let seconds = null, message = encode(text);
  if (key.algorithm === WITNESS_KEY) {
    seconds = blob.subarray(0, 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    message = encode(`cosignature/v1\ntime ${seconds}\n${text}`);
    blob = blob.subarray(8);
  }
  const imported = await crypto.subtle.importKey("raw", key.public, "Ed25519", false, ["verify"]);
  if (!(await crypto.subtle.verify("Ed25519", imported, blob, message))) {
    throw notProven(`signature of ${key.name} does not hold`);
  }
  if (seconds !== null && seconds > MAX_SIZE) throw notProven(`cosignature of ${key.name} has no valid time`);
  return seconds;
}

async function openCheckpoint(data, log, witnesses) {
  const origin = originOf(log, witnesses);
  const { note, signers, times } = await openNote(data, [...log, ...witnesses]);
  const claimed = note.text.split("\n", 1)[0];
  if (!signers.length) {
    if (claimed !== origin) throw new Refused("WrongLog", `checkpoint is of log '${claimed.slice(0, 200)}', not of '${origin}'`);
    throw new Refused("UnknownKey", "note is signed by no trusted key");
  }
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint.origin !== origin) throw new Refused("WrongLog", `checkpoint is of log '${claimed.slice(0, 200)}', not of '${origin}'`);
  if (!signers.some((key) => log.includes(key))) throw new Refused("UnknownKey", `checkpoint is not signed by '${origin}' itself`);
  if (times.size < witnesses.length) {
    throw notProven(`${times.size} trusted witnesses signed, not the ${witnesses.length} asked for`);
  }
  return { checkpoint, witnessed: [...times].map(([key, seconds]) => ({ name: key.name, seconds })) };
}

function originOf(log, witnesses) {
  const names = new Set(log.map((key) => key.name));
  if (names.size !== 1) throw malformed(`the keys of a log share one name, these have ${names.size}`);
  if (log.some((key) => key.algorithm !== LOG_KEY)) throw malformed("a log signs with a key of type 0x01, not with a witness key");
  if (witnesses.some((key) => key.algorithm !== WITNESS_KEY)) throw malformed("a witness signs with a key of type 0x04, not with a log key");
  return [...names][0];
}

function parseCheckpoint(text) {
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.length < 3 || lines.includes("")) throw malformed("checkpoint is not three or more full lines");
  return { origin: lines[0], size: decimal(lines[1], "checkpoint size"), root: hash(lines[2], "checkpoint root") };
}

// --- Merkle tree (RFC 9162, 2.1.3.2)

async function checkInclusion({ index, path }, { checkpoint: { size, root } }, leaf) {
  if (index >= size) throw notProven(`index ${index} is not in a tree of size ${size}`);
  let place = index, last = size - 1n, value = leaf;
  for (const sibling of path) {
    if (last === 0n) throw notProven("inclusion proof is too long");
    if (place & 1n || place === last) {
      value = await sha256(bytes([1]), sibling, value);
      while (place && !(place & 1n)) { place >>= 1n; last >>= 1n; }
    } else {
      value = await sha256(bytes([1]), value, sibling);
    }
    place >>= 1n;
    last >>= 1n;
  }
  if (last) throw notProven("inclusion proof is too short");
  if (hex(value) !== hex(root)) throw notProven(`inclusion proof of index ${index} does not lead to the root`);
}

// --- records

const optional = (read) => (value) => value === null || read(value);
const isText = (value) => typeof value === "string" && value !== "" && [...value].length <= MAX_TEXT && !/[\p{Cc}\p{Cs}]/u.test(value);
const isIndex = (value) => Number.isSafeInteger(value) && value >= 0;
const isMarkNumber = (value) => isIndex(value) && value > 0 && value < 2 ** 40;
const isNumber = (value) => isText(value) && /^-?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[1-9][0-9]*)?$/.test(value);
const isDigest = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isTexts = (value) => Array.isArray(value) && value.every(isText) && value.every((one, at) => !at || byCodePoint(value[at - 1], one) < 0);
const isCommitments = (value) => isObject(value) && Object.entries(value).every(([name, one]) => isText(name) && isDigest(one));
const isMark = (value) => fits({ scheme: isText, key: isText }, value);
const isSubject = (value) => fits({ index: isIndex, leaf: isDigest }, value);

const SHAPES = {
  picture: {
    at: isTime, id: isText, software: isText, generator: isText, weights: isDigest, mark: optional(isMark), policy: isText,
    erased: isTexts, pixels: isDigest, file: isDigest, fingerprint: isText, manifest: isText, commitments: isCommitments,
  },
  marking: {
    at: isTime, id: isText, software: isText, codec: isText, weights: isDigest, mark: isMark, number: optional(isMarkNumber),
    pixels: isDigest, file: isDigest, fingerprint: isText, manifest: isText, commitments: isCommitments,
  },
  revocation: { at: isTime, subject: isSubject, reason: isText },
  "key-rotation": { at: isTime, purpose: isText, retired: isText, active: isText, compromised: optional(isTime) },
  erasure: { at: isTime, subject: isSubject, fields: isTexts, reason: isText },
  deletion: { at: isTime, subject: isSubject, kept: isTexts, reason: isText },
  "threshold-change": { at: isTime, detector: isText, version: isText, old: isNumber, new: isNumber, reason: isText },
  verdict: { at: isTime, statement: isDigest, key: isText },
};

export function parseRecord(data) {
  if (data.length > MAX_RECORD) throw malformed(`record is longer than ${MAX_RECORD} bytes`);
  const start = encode(VERSION_LINE);
  if (hex(data.subarray(0, start.length)) !== hex(start)) throw malformed("record does not start with 'countermark-record/1'");
  const text = utf8(data.subarray(start.length), "record");
  let document;
  try { document = JSON.parse(text); } catch { throw malformed("record is not JSON"); }
  if (!isObject(document)) throw malformed("record is not a JSON object");
  const { kind, ...fields } = document;
  if (typeof kind !== "string" || !Object.hasOwn(SHAPES, kind)) throw malformed("record is of an unknown kind");
  if (!fits(SHAPES[kind], fields)) throw malformed(`${kind} has a field of the wrong form`);
  if (`${canonical(document)}\n` !== text) throw malformed("record is not in canonical form");
  return document;
}

function fits(shape, value) {
  return isObject(value) && Object.keys(value).length === Object.keys(shape).length &&
    Object.entries(shape).every(([name, check]) => Object.hasOwn(value, name) && check(value[name]));
}

function isObject(value) { return typeof value === "object" && value !== null && !Array.isArray(value); }

function isTime(value) {
  const found = typeof value === "string" && /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/.exec(value);
  if (!found) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return year > 0 && days !== undefined && day > 0 && day <= days && hour < 24 && minute < 60 && second < 60;
}

// Also finds keys that come twice: they are written once.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort(byCodePoint);
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function byCodePoint(one, other) {
  const a = [...one], b = [...other];
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    if (a[at] !== b[at]) return a[at].codePointAt(0) - b[at].codePointAt(0);
  }
  return a.length - b.length;
}

// --- encodings

function base64(text, what) {
  let data;
  try {
    data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw malformed(`${what} is not base64`);
  }
  let written = "";
  for (let at = 0; at < data.length; at += 4096) written += String.fromCharCode(...data.subarray(at, at + 4096));
  if (btoa(written) !== text) throw malformed(`${what} is not canonical base64`);
  return data;
}

function hash(text, what) {
  const data = base64(text, what);
  if (data.length !== HASH) throw malformed(`${what} is ${data.length} bytes long, not ${HASH}`);
  return data;
}

function decimal(text, what) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text) || BigInt(text) > MAX_SIZE) throw malformed(`${what} is not a canonical number`);
  return BigInt(text);
}

function utf8(data, what) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw malformed(`${what} is not UTF-8`);
  }
}

function find(data, [first, second]) {
  for (let at = data.indexOf(first); at >= 0; at = data.indexOf(first, at + 1)) {
    if (data[at + 1] === second) return at;
  }
  return -1;
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
}

function all(values, act) { return Promise.all(values.map(act)); }
function bytes(values) { return Uint8Array.from(values); }
function encode(text) { return new TextEncoder().encode(text); }
export function hex(data) { return [...data].map((byte) => byte.toString(16).padStart(2, "0")).join(""); }
