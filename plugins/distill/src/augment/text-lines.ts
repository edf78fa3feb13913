/** The lines of a text file of any size, one at a time. */
import { createReadStream } from 'node:fs';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';

/** A line longer than this is that of no table of vectors: the file is something else. */
const longestLine = 1 << 20;

/**
 * Lines end at a line feed alone (words of published vectors hold U+0085 and U+2028); a carriage return before it is
 * dropped, as is a byte-order mark at the start.
 * @throws KdxError `not-a-text-file`, `file-not-found`, ...
 */
export async function* textLines(path: string): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  let isFirst = true;
  const decode = (bytes: Buffer) => {
    const text = bytes.toString('utf8').replace(/\r$/, '');
    const line = isFirst ? text.replace(/^\ufeff/, '') : text;
    isFirst = false;
    return line;
  };
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
      const bytes = Buffer.concat([rest, chunk as Buffer]);
      if (bytes.includes(0)) throw notText(path, 'holds a zero byte');
      let start = 0;
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
        yield decode(bytes.subarray(start, end));
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length > longestLine) throw notText(path, `has a line of more than ${longestLine} bytes`);
    }
  } catch (error) {
    throw fileError(error, path);
  }
  if (rest.length > 0) yield decode(rest);
}

function notText(path: string, what: string): KdxError {
  return new KdxError('not-a-text-file', `${path} ${what}: it is not a text file`, {
    suggestions: ['unpack the file first; a table of vectors has one word and its numbers on each line'],
  });
}
