import { md5, toHex } from './digest.ts';
import { isBlank, type JsonParams, jsonText, paramEntries } from './json-input.ts';
import { compareUtf16 } from './key-value-text.ts';

/**
 * The `sign` of a Mall / Topup call: MD5 in lower-case hex over compact, key-sorted JSON of the non-empty parameters.
 * No secret enters, so anyone can make it: it is a checksum and never a proof. Used to recognise it, not to trust it.
 * Source: protocols/linksfield.md, section 7; reproduces vector mall-singleServicePlanPage.
 */
export function mallChecksum(params: JsonParams): { readonly sign: string; readonly text: string } {
  const entries = paramEntries(params).filter(([key, value]) => key !== 'sign' && !isBlank(value));
  const sorted = entries.toSorted(([a], [b]) => compareUtf16(a, b));
  const text = `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${jsonText(value)}`).join(',')}}`;
  return { sign: toHex(md5(text)), text };
}
