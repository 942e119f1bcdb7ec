import { describe, expect, it } from 'vitest';
import {
  readDuration,
  readMoment,
  readMoney,
  readWhole,
  showMoment,
  showSpan,
} from '../../../infra/ops/notation.ts';
import { progressText, startProgress } from '../../../infra/ops/progress.ts';
import { cut, displayWidth, textTable } from '../../../infra/ops/text-table.ts';
import { epochMs } from '../../../shared/core/time.ts';

const now = epochMs(Date.parse('2026-11-22T12:00:00Z'));

describe('times, spans and amounts of a command line', () => {
  it.each([
    ['2h', '2026-11-22 10:00:00Z'],
    ['7d', '2026-11-15 12:00:00Z'],
    ['now', '2026-11-22 12:00:00Z'],
    ['2026-11-01', '2026-11-01 00:00:00Z'],
    ['2026-11-01T05:06', '2026-11-01 05:06:00Z'],
    ['2026-11-01 05:06:07Z', '2026-11-01 05:06:07Z'],
    ['1795348800000', '2026-11-22 12:00:00Z'],
  ])('reads %s', (text, shown) => {
    expect(showMoment(readMoment('--since', text, now))).toBe(shown);
  });

  it.each(['yesterday', '2026-13-01', '2h ago', '', '-2h'])(
    'refuses "%s" and says what is allowed',
    (text) => {
      expect(() => readMoment('--since', text, now)).toThrow(/--since is .*2h, 7d/);
    },
  );

  it('reads spans, whole numbers and amounts, and names the bounds of what it refuses', () => {
    expect(readDuration('--late', '90s')).toBe(90_000);
    expect(() => readDuration('--late', '90')).toThrow('with a unit');
    expect(readWhole('--count', '7', { min: 1, max: 9 })).toBe(7);
    for (const text of ['0', '10', '1.5', 'x', '-1']) {
      expect(() => readWhole('--count', text, { min: 1, max: 9 })).toThrow('from 1 to 9');
    }
    expect(readMoney('--charge', '5.00 USD')).toEqual({ amountMinor: 500, currency: 'USD' });
    for (const text of ['5', '5.001 USD', '5,00 USD', 'USD 5']) {
      expect(() => readMoney('--charge', text)).toThrow('"5.00 USD"');
    }
  });

  it('shows spans in the largest whole unit', () => {
    expect([12, 3_999, 61_000, 7_200_000, 200_000_000].map(showSpan)).toEqual([
      '12 ms',
      '3 s',
      '1 min',
      '2 h',
      '2 d',
    ]);
  });
});

describe('a table of text', () => {
  it('aligns columns by what is seen, not by colours or bytes', () => {
    const red = '\u001b[31mx\u001b[39m';
    expect(
      textTable(
        [{ title: 'a' }, { title: 'n', align: 'right' }, { title: 'b' }],
        [
          [red, '1', '中'],
          ['yyy', '22', 'z'],
        ],
        null,
      ),
    ).toEqual(['a     n  b', `${red}     1  中`, 'yyy  22  z']);
  });

  it('counts wide characters as two columns', () => {
    expect(displayWidth('a中b')).toBe(4);
  });

  it('cuts a line to the terminal and closes its colour', () => {
    expect(cut('abcdef', 4)).toBe('abc…');
    expect(cut('abc', 3)).toBe('abc');
    expect(cut('\u001b[31mabcdef\u001b[39m', 4)).toBe('\u001b[31mabc…\u001b[0m');
    expect(displayWidth(cut('中中中', 4))).toBeLessThanOrEqual(4);
  });
});

describe('progress', () => {
  it('shows share, count and rate', () => {
    const state = { done: 50, share: 0.5, start: now, now: epochMs(now + 1_000) };
    expect(progressText('x', { ...state, total: 100 })).toBe(
      'x [==========          ] 50 %, 50 of 100, 50/s',
    );
    expect(progressText('x', { ...state, total: null })).toBe(
      'x [==========          ] 50 %, 50 so far, 50/s',
    );
  });

  it('goes by the time of what was found where nobody knows how much there is', () => {
    const lines: string[] = [];
    let clock = now;
    const terminal = { redraws: false, complain: (text: string) => void lines.push(text) };
    const progress = startProgress({ terminal, clock: () => clock }, 'judging');
    const to = epochMs(now + 1_000_000);
    progress.at(1, { at: epochMs(now + 200_000), to });
    clock = epochMs(now + 10_000);
    progress.at(400, { at: epochMs(now + 400_000), to });
    progress.end();
    expect(lines).toEqual(['judging [=====               ] 25 %, 400 so far, 40/s\n']);
  });
});
