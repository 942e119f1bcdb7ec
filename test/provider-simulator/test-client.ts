import { createHash, createHmac, createSign } from 'node:crypto';
import { simulatorDefaults } from './simulator.ts';

/*
 * The caller's side for the simulator's own tests: signs with its own lines, so that the simulator's checker is held
 * against a second reading of the documentation.
 */

export type Params = Record<string, unknown>;

/** SHA-1 of sorted `k=v&…&secret=…`, upper-case hex. Source: protocols/eiotclub.md 1.3. Flat values only. */
export function eiotclubSignOf(params: Params, secret: string): string {
  let text = '';
  for (const name of Object.keys(params).sort()) {
    const value = params[name];
    if (name === 'sign' || value === '' || value === null || value === undefined) continue;
    text += `${name}=${String(value)}&`;
  }
  return createHash('sha1').update(`${text}secret=${secret}`).digest('hex').toUpperCase();
}

/** A complete EIOTCLUB body: system parameters, business parameters, sign. */
export function eiotclubBody(params: Params, secret: string = simulatorDefaults.eiotclub.secret): Params {
  const body = {
    appkey: simulatorDefaults.eiotclub.appkey,
    timestamp: 1_740_000_000,
    nonce: 95_977,
    ...params,
  };
  return { ...body, sign: eiotclubSignOf(body, secret) };
}

/** Base64 of HMAC-SHA1 over sorted compact JSON without empty values. Source: protocols/linksfield.md 1. */
export function csssBody(params: Params, secret: string = simulatorDefaults.csss.secret): Params {
  const body: Params = {
    access_code: simulatorDefaults.csss.accessCode,
    timestamp: '1643253530',
    version: '2.0',
    ...params,
  };
  const names = Object.keys(body).sort();
  const kept = names.filter((name) => name !== 'sign' && body[name] !== '');
  const text = JSON.stringify(body, kept);
  // JSON.stringify's list of names would also thin out nested objects; CSSS bodies have none.
  return { ...body, sign: createHmac('sha1', secret).update(text).digest('base64') };
}

export interface CubeCall {
  readonly method: string;
  /** With `/cube/v4`, without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Params;
  readonly nowMs: number;
  readonly nonce?: string;
  readonly privateKeyPem?: string;
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
};

/** Headers of a Cube call, signature type 2.0. Source: protocols/linksfield.md 5.1, 5.2. */
export function cubeHeaders(call: CubeCall): Record<string, string> {
  const timestamp = String(call.nowMs);
  const nonce = call.nonce ?? '7';
  const text = JSON.stringify(
    sorted({ ...call.query, ...call.body, timestamp, nonce, 'x-sign-uri': call.path }),
  );
  const key = call.privateKeyPem ?? simulatorDefaults.cube.privateKeyPem;
  const sign = createSign('RSA-SHA1').update(text).sign(key, 'base64');
  return {
    authorization: `LF ${simulatorDefaults.cube.keyId}/${sign}`,
    'x-lf-api-version': '2.0',
    'x-lf-signature-type': '2.0',
    'content-type': 'application/json',
    timestamp,
    nonce,
  };
}

export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined where it is no JSON. */
  readonly json: unknown;
}

/** One real HTTP request that follows no redirect. Rejects when the connection breaks. */
export async function send(
  url: string,
  init: { method: string; headers?: Record<string, string>; body?: string; signal?: AbortSignal },
): Promise<Received> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: jsonOf(text) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const postJson = (
  url: string,
  body: Params,
  headers: Record<string, string> = {},
): Promise<Received> =>
  send(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

export const postEiotclub = (base: string, path: string, params: Params): Promise<Received> =>
  postJson(`${base}${path}`, eiotclubBody(params));

export const postCsss = (base: string, path: string, params: Params): Promise<Received> =>
  postJson(`${base}${path}`, csssBody(params));

export function callCube(base: string, call: CubeCall): Promise<Received> {
  const query = new URLSearchParams(call.query).toString();
  const url = `${base}${call.path}${query === '' ? '' : `?${query}`}`;
  const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) };
  return send(url, { method: call.method, headers: cubeHeaders(call), ...body });
}

/** Kind of a JSON value, finer than typeof: tells null, lists and whole numbers apart. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** Names and kinds of an object's members, in its order. */
export const kindsOf = (value: unknown): Record<string, string> =>
  typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, kindOf(member)]))
    : {};

/** The member at a path such as `data.package_order.0`; undefined where there is none. */
export function at(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>(
      (inner, name) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined),
      value,
    );
}

/** The members of a list; empty for anything else. */
export const listAt = (value: unknown, path: string): readonly unknown[] => {
  const found = at(value, path);
  return Array.isArray(found) ? found : [];
};
