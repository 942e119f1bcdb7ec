import { describe, expect, it } from 'vitest';
import { OpsError } from '../../../infra/ops/failure.ts';
import { readFieldValues, withFields } from '../../../infra/ops/field-values.ts';

const set = (body: Parameters<typeof withFields>[0], ...words: string[]) =>
  withFields(body, readFieldValues(words));

describe('fields of a command line', () => {
  it('keeps a text as text, with all its digits and equals signs', () => {
    expect(set({}, 'iccid=89852000263320817044', 'note=a=b:c')).toEqual({
      iccid: '89852000263320817044',
      note: 'a=b:c',
    });
  });

  it('gives a number where the sample has one and the text is a whole number', () => {
    expect(set({ alert_type: 1 }, 'alert_type=2')).toEqual({ alert_type: 2 });
    expect(set({ alert_type: 1 }, 'alert_type=two')).toEqual({ alert_type: 'two' });
    expect(set({ id: 1 }, 'id=89852000263320817044')).toEqual({ id: '89852000263320817044' });
    expect(set({ id: 1 }, 'id=007')).toEqual({ id: '007' });
  });

  it('takes JSON after :=', () => {
    expect(set({}, 'a:=5', 'b:=null', 'c:={"d":[1]}')).toEqual({ a: 5, b: null, c: { d: [1] } });
  });

  it('reaches into objects and lists, and adds one entry to a list', () => {
    const body = { data: [{ iccid: '1', orderId: '2' }] };
    expect(set(body, 'data.0.orderId=9', 'data.1.iccid=3', 'more.deep.x=1')).toEqual({
      data: [{ iccid: '1', orderId: '9' }, { iccid: '3' }],
      more: { deep: { x: '1' } },
    });
    expect(body).toEqual({ data: [{ iccid: '1', orderId: '2' }] });
  });

  it.each([
    ['novalue', 'no field'],
    ['=x', 'no field'],
    ['a..b=1', 'no field'],
    ['__proto__.x=1', 'no field'],
    ['a:={', 'must be JSON'],
  ])('refuses %s as wrong usage', (word, text) => {
    expect(() => readFieldValues([word])).toThrow(text);
    expect(() => readFieldValues([word])).toThrow(OpsError);
  });

  it('refuses a place that a list does not have', () => {
    expect(() => set({ data: [] }, 'data.5.a=1')).toThrow('0 to 0');
    expect(() => set({ data: [] }, 'data.x=1')).toThrow('no place in it');
  });
});
