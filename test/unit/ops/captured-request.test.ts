import { describe, expect, it } from 'vitest';
import { readCapture } from '../../../infra/ops/captured-request.ts';
import { splitShellWords } from '../../../infra/ops/shell-words.ts';

const words = (line: string) => {
  const split = splitShellWords(line);
  return split.ok ? split.words : split.detail;
};

describe('words of a shell line', () => {
  it.each([
    ['a  b', ['a', 'b']],
    [`'a b' "c d"e`, ['a b', 'c de']],
    [`"a\\"b\\\\c\\n"`, ['a"b\\c\\n']],
    [`'it'\\''s'`, ["it's"]],
    [`$'a\\nb\\'c\\u4e2d'`, ["a\nb'c中"]],
    ['a \\\n b', ['a', 'b']],
    [`''`, ['']],
    ['$HOME `x`', ['$HOME', '`x`']],
  ])('splits %s', (line, expected) => {
    expect(words(line)).toEqual(expected);
  });

  it('names the quote that is never closed', () => {
    expect(words("a 'b")).toContain('character 3');
  });
});

const read = (text: string | Uint8Array) => {
  const reading = readCapture(typeof text === 'string' ? Buffer.from(text) : text);
  if (!reading.ok) return reading.detail;
  return { ...reading.request, body: Buffer.from(reading.request.body).toString('latin1') };
};

describe('a captured request', () => {
  it('is read from a curl line as browsers and we print it', () => {
    expect(
      read(
        `curl -i -X POST 'https://h.example/callbacks/eiotclub/?a=1' -H 'X-LF-MD5: abc' --compressed --data-raw '{"a":"b c"}'`,
      ),
    ).toEqual({
      form: 'curl line',
      path: '/callbacks/eiotclub/',
      headers: { 'x-lf-md5': 'abc' },
      body: '{"a":"b c"}',
    });
  });

  it('is read from a curl line with attached and equals-sign options', () => {
    expect(read(`$ curl -XPOST -H'a: 1' --header="b: 2" --data='{}' -o /dev/null --url http://h/p`)).toEqual({
      form: 'curl line',
      path: '/p',
      headers: { a: '1', b: '2' },
      body: '{}',
    });
  });

  it('says what to do about a body that curl would read from a file', () => {
    expect(read('curl -d @body.json http://h/p')).toContain('--body body.json');
  });

  it('is read from a raw request with its bytes as they are', () => {
    const body = Buffer.from([0x7b, 0xff, 0x0d, 0x0a, 0x0d, 0x0a, 0x7d]);
    const head = Buffer.from('POST /callbacks/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Lf-Md5:  q=\r\n\r\n');
    expect(read(Buffer.concat([head, body]))).toEqual({
      form: 'HTTP request',
      path: '/callbacks/x',
      headers: { host: 'h', 'x-lf-md5': 'q=' },
      body: body.toString('latin1'),
    });
  });

  it('ends the body where content-length says', () => {
    expect(read('POST /p HTTP/1.1\ncontent-length: 2\n\n{}\n')).toMatchObject({ body: '{}' });
  });

  it('is read from headers without a request line', () => {
    expect(read('x-lf-md5: abc\nx-b: c\n\n{}')).toMatchObject({
      path: null,
      headers: { 'x-lf-md5': 'abc', 'x-b': 'c' },
      body: '{}',
    });
  });

  it('is read from a Lambda event, Base64 decoded', () => {
    const event = { rawPath: '/p', headers: { 'X-A': '1' }, body: Buffer.from('{"a":1}').toString('base64') };
    expect(read(JSON.stringify({ ...event, isBase64Encoded: true }))).toEqual({
      form: 'Lambda event',
      path: '/p',
      headers: { 'x-a': '1' },
      body: '{"a":1}',
    });
  });

  it('is a body alone otherwise', () => {
    expect(read('{"event":"FlowAlert"}')).toMatchObject({ form: 'body alone', path: null, headers: {} });
  });
});
