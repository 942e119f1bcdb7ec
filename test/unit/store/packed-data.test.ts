import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemAttributes, readAttributes } from '../../../shared/store/dynamo-item.ts';
import { itemBytes } from '../../../shared/store/item-size.ts';
import { storedForm, unpack } from '../../../shared/store/packed-data.ts';
import { dictionary1 } from '../../../shared/store/packing-dictionary.ts';
import { readRow } from '../../../shared/store/rows.ts';
import type { Item, NewItem, Value } from '../../../shared/store/table.ts';

const item = (data: Item['data']): NewItem => ({ pk: 'p', sk: 's', data, indexes: {}, expiresAtSec: null });

/** Text that is over a KB and packs well, so that the item is packed. */
const long = 'renew-low-data '.repeat(100);

const readBack = (of: NewItem): Item['data'] => {
  const { data, packed } = storedForm(of);
  return packed === null ? data : { ...unpack(packed, 'p / s'), ...data };
};

const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$bytes', '$$bytes', 'bytes', '7')), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).value;

describe('the stored form of an item', () => {
  it('gives any data back as it was, packed or not', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), values, { noNullPrototype: true }),
        fc.boolean(),
        (data, isLong) => {
          const whole = item(isLong ? { ...data, long } : data);
          expect(readBack(whole)).toEqual(whole.data);
        },
      ),
    );
  });

  it('leaves an item that fits in a KB as it is, for people to read', () => {
    const small = item({ text: 'x'.repeat(1_024 - itemBytes(item({ text: '' }))) });
    expect(storedForm(small)).toEqual({ data: small.data, packed: null, bytes: 1_024 });
  });

  it('packs an item one byte above a KB, and saves the unit', () => {
    const large = item({ text: 'x'.repeat(1_025 - itemBytes(item({ text: '' }))) });
    const stored = storedForm(large);
    expect(stored.packed).not.toBeNull();
    expect(stored.bytes).toBeLessThanOrEqual(1_024);
  });

  it('leaves data alone that packing does not make a KB smaller', () => {
    const noise = Uint8Array.from(
      { length: 1_500 },
      (_, i) => createHash('md5').update(String(i)).digest()[0] ?? 0,
    );
    expect(storedForm(item({ noise }))).toMatchObject({ data: { noise }, packed: null });
  });

  it('keeps top-level numbers where counters are added to', () => {
    expect(storedForm(item({ kept: 3, long })).data).toEqual({ kept: 3 });
  });

  it('holds a body of 400 bytes with its event in one KB', () => {
    const body = Buffer.from(
      `{"id":"bench-1","event":"FlowAlert","data":[${Array.from(
        { length: 3 },
        (_, i) =>
          `{"iccid":"8985202000000000${i}1","orderId":"1000499${i}","packageCode":"PKG001","packageName":"Global ${i}GB"}`,
      ).join()}],"sign":"${createHash('sha1').update('a').digest('hex')}"}`,
    );
    expect(body.byteLength).toBeGreaterThan(400);
    const event = {
      eventId: `evt_${createHash('md5').update('b').digest('hex')}`,
      provider: 'eiotclub',
      facts: {
        kind: 'usage-alert',
        alert: 'low-data',
        value: '9',
        order: { orderId: null, reference: null },
      },
      receivedAt: 1_780_315_200_000,
    };
    const row = item({
      event,
      state: 'recorded',
      decisions: [],
      evidence: { body, headers: {}, path: '/callbacks' },
      filler: 'x'.repeat(300),
    });
    expect(storedForm(row).bytes).toBeLessThanOrEqual(1_024);
    expect(readBack(row)).toEqual({
      ...row.data,
      evidence: { body: Uint8Array.from(body), headers: {}, path: '/callbacks' },
    });
  });
});

describe('packed data', () => {
  it('of the first version stays readable for good: the dictionary may never change', () => {
    expect(createHash('sha256').update(dictionary1).digest('hex')).toBe(
      '260b0ed1a1b5d3a89a0e3ca77865d791dce2dab88a4351a0ac6b23c2911bab38',
    );
    const kept = Buffer.from('AUNKidgSXq0Ohi9MamsZGJkY/gMA', 'base64');
    expect(unpack(kept, 'p / s')).toEqual({
      event: { provider: 'eiotclub' },
      body: Uint8Array.of(1, 2, 0, 255),
    });
  });

  it.each([
    ['nothing', Uint8Array.of()],
    ['a dictionary that is not known', Uint8Array.of(9, 1, 2, 3)],
    ['what is not deflated', Uint8Array.of(1, 255, 255, 255, 255)],
    [
      'a packed value that was cut off',
      storedForm(item({ long })).packed?.subarray(0, 20) ?? Uint8Array.of(),
    ],
  ])('that holds %s is reported with its key', (_name, packed) => {
    expect(() => unpack(packed, 'EVENT#1 / EVENT')).toThrow(
      expect.objectContaining({ code: 'corrupt-item', message: expect.stringContaining('EVENT#1 / EVENT') }),
    );
  });

  // The sweep reads pages: one row that a newer version packed would keep all others of the provider from being found.
  it('that can’t be unpacked is told to who reads the row, not to who reads the page', () => {
    const attributes = itemAttributes(item({ long, spent: 5 }), 3, 'w');
    const read = readAttributes({ ...attributes, packed: { B: Uint8Array.of(9, 1, 2, 3) } });
    expect(read.item).toMatchObject({ pk: 'p', sk: 's', version: 3, data: { spent: 5 } });
    for (const name of ['action', 'capSums'] as const)
      expect(() => readRow(name, read.item)).toThrow(
        expect.objectContaining({
          code: 'corrupt-item',
          message: expect.stringMatching(/p \/ s .*dictionary 9.*newer version/),
        }),
      );
  });
});
