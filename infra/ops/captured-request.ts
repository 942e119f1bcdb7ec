import { z } from 'zod';
import { splitShellWords } from './shell-words.ts';

/** A request as someone captured it. Header names are lower case. */
export interface CapturedRequest {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** Path without the query; null when the capture does not say. */
  readonly path: string | null;
  /** How it was read, for the reader. */
  readonly form: 'curl line' | 'HTTP request' | 'Lambda event' | 'body alone';
}

export type CaptureReading =
  | { readonly ok: true; readonly request: CapturedRequest }
  | { readonly ok: false; readonly detail: string };

/** Reads a `curl` line, a raw HTTP request, a Lambda event (payload 2.0) or a bare body, whichever it is. */
export function readCapture(bytes: Uint8Array): CaptureReading {
  const start = Buffer.from(bytes.subarray(0, 400)).toString('latin1');
  if (/^\s*(?:\$\s*)?curl\s/.test(start)) return readCurlLine(Buffer.from(bytes).toString('utf8'));
  if (
    /^[A-Z]{3,10} \S+(?: HTTP\/[\d.]+)?\r?\n/.test(start) ||
    /^[A-Za-z][A-Za-z0-9-]*:[^\n]*\r?\n/.test(start)
  ) {
    return readHttpText(bytes);
  }
  const event = readLambdaEvent(bytes);
  return {
    ok: true,
    request: event ?? { body: bytes, headers: {}, path: null, form: 'body alone' },
  };
}

/** Header lines up to the first empty one, then the body as it is. */
function readHttpText(bytes: Uint8Array): CaptureReading {
  const text = Buffer.from(bytes).toString('latin1');
  const gap = /\r?\n\r?\n/.exec(text);
  const lines = text.slice(0, gap?.index ?? text.length).split(/\r?\n/);
  const requestLine = /^[A-Z]{3,10} (\S+)/.exec(lines[0] ?? '');
  const headers = headersOf(requestLine === null ? lines : lines.slice(1));
  const from = gap === null ? bytes.length : gap.index + gap[0].length;
  const declared = Number(headers['content-length'] ?? Number.NaN);
  const until = Number.isInteger(declared) && declared >= 0 ? from + declared : bytes.length;
  const body = bytes.subarray(from, Math.min(until, bytes.length));
  const path = requestLine?.[1] === undefined ? null : pathOf(requestLine[1]);
  return { ok: true, request: { body, headers, path, form: 'HTTP request' } };
}

function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.flatMap((line) => {
      const at = line.indexOf(':');
      return at < 1 ? [] : [[line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()] as const];
    }),
  );
}

function pathOf(target: string): string {
  return URL.canParse(target, 'http://local') ? new URL(target, 'http://local').pathname : target;
}

const lambdaEventSchema = z.object({
  rawPath: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string().default(''),
  isBase64Encoded: z.boolean().default(false),
});

function readLambdaEvent(bytes: Uint8Array): CapturedRequest | null {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null;
  }
  const parsed = lambdaEventSchema.safeParse(json);
  if (!parsed.success) return null;
  const { rawPath, headers, body, isBase64Encoded } = parsed.data;
  return {
    body: Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8'),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    path: rawPath,
    form: 'Lambda event',
  };
}

/** Options of curl that take a word and say nothing about the request's bytes. Source: curl's manual page. */
const skipped =
  /^(?:-[oAebcmuwxXK]|--(?:output|user-agent|referer|cookie|cookie-jar|max-time|user|write-out|proxy|request|connect-timeout|cacert|cert|key|resolve|retry))$/;
const dataOption = /^(?:-d|--(?:data|data-raw|data-ascii|data-binary|json))$/;

/** Reads a copied `curl` line. The body is what -d and its sisters give, joined with `&` as curl does. */
export function readCurlLine(line: string): CaptureReading {
  const split = splitShellWords(line.replace(/^\s*\$\s*/, ''));
  if (!split.ok) return split;
  const headers: Record<string, string> = {};
  const data: string[] = [];
  let path: string | null = null;
  const words = split.words.slice(1).flatMap(attached);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    const value = words[i + 1] ?? '';
    if (word === '-H' || word === '--header') {
      Object.assign(headers, headersOf([value]));
      i += 1;
    } else if (dataOption.test(word)) {
      if (value.startsWith('@') && word !== '--data-raw') {
        return {
          ok: false,
          detail: `the body is in the file ${value.slice(1)}: give it with --body ${value.slice(1)} and the headers with --header`,
        };
      }
      data.push(value);
      i += 1;
    } else if (word === '--url') {
      path = pathOf(value);
      i += 1;
    } else if (skipped.test(word)) i += 1;
    else if (!word.startsWith('-')) path = pathOf(word);
  }
  const body = Buffer.from(data.join('&'), 'utf8');
  return { ok: true, request: { body, headers, path, form: 'curl line' } };
}

/** `-Hx: y`, `-XPOST` and `--header=x: y` as two words. */
function attached(word: string): readonly string[] {
  const short = /^(-[HdXo])([\s\S]+)$/.exec(word);
  if (short?.[1] && short[2] !== undefined) return [short[1], short[2]];
  const long = /^(--(?:header|data|data-raw|data-binary|data-ascii|json|url|request))=([\s\S]*)$/.exec(word);
  return long?.[1] && long[2] !== undefined ? [long[1], long[2]] : [word];
}
