import { decodeUtf8, type RawMember } from './raw-json.ts';

/** The body with `sign` set: replaced where it stands, else added as the last member. All other bytes stay. */
export function signInsertedBody(body: Uint8Array, members: readonly RawMember[], sign: string): Uint8Array {
  const text = decodeUtf8(body) ?? '';
  const value = JSON.stringify(sign);
  const old = members.find(({ key }) => key === 'sign');
  if (old !== undefined) return Buffer.from(text.slice(0, old.start) + value + text.slice(old.end));
  const close = text.lastIndexOf('}');
  const comma = members.length === 0 ? '' : ',';
  return Buffer.from(`${text.slice(0, close)}${comma}"sign":${value}${text.slice(close)}`);
}
