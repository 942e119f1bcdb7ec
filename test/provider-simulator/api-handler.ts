import type { ProviderName, Purchase } from './books.ts';
import type { JsonObject } from './signatures.ts';

/** An HTTP request as the provider's code sees it. Header names are lower case, repeated query names comma-joined. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
}

export interface ApiReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
}

/** A reply with what the books note down about the request. `code` is the provider's own code as text. */
export interface Handled extends ApiReply {
  readonly accepted: boolean;
  readonly code: string;
  readonly simId: string | null;
  readonly reference: string | null;
}

/** A callback that the provider wants to send. `dueAt`: epoch ms. */
export interface Notice {
  readonly provider: ProviderName;
  readonly body: JsonObject;
  readonly signed: boolean;
  readonly dueAt: number;
}

/** Under what terms one request runs; the handler writes into the two lists what it did. */
export interface Terms {
  readonly requestId: number;
  /** Epoch ms from which what is bought shows in the provider's records. */
  readonly visibleFrom: number;
  readonly purchases: Purchase[];
  readonly notices: Notice[];
}

/** One provider's logic over the books: no clock, no chance, no I/O. */
export type ApiHandler = (request: ApiRequest, nowMs: number, terms: Terms) => Handled;

export const jsonHeaders = { 'content-type': 'application/json;charset=UTF-8' } as const;

/** The parsed body when it is a JSON object, else null. */
export function readJsonObject(bodyText: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(bodyText);
    return isJsonObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** JSON.parse yields JSON values only, so an object that is no array is a JsonObject. */
const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The named member when it is a non-empty string, else null. */
export function textOf(body: JsonObject, name: string): string | null {
  const value = body[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** `yyyy-MM-dd HH:mm:ss`, or 14 digits with `digits`, in the zone given. */
export function formatTime(ms: number, zoneOffsetMin: number, form: 'dashes' | 'digits'): string {
  const text = new Date(ms + zoneOffsetMin * 60_000).toISOString().slice(0, 19).replace('T', ' ');
  return form === 'dashes' ? text : text.replaceAll(/[^0-9]/g, '');
}

/** Epoch ms of `yyyy-MM-dd HH:mm:ss` in the zone given; null for any other text. */
export function parseTime(text: string, zoneOffsetMin: number): number | null {
  if (!/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text)) return null;
  const ms = Date.parse(`${text.replace(' ', 'T')}Z`);
  return Number.isNaN(ms) ? null : ms - zoneOffsetMin * 60_000;
}
