/** Lines of a stream as they arrive, so that somebody who types gets an answer to each line. */

/** Lines per batch at most. */
const most = 256;

/** Lines without their ends (LF or CRLF), in batches that are never empty. What follows the last line end is a line, unless it is empty. */
export async function* lineBatches(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() as string;
    yield* slices(lines.map(withoutReturn));
  }
  rest += decoder.decode();
  if (rest !== '') yield [withoutReturn(rest)];
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function* slices(lines: readonly string[]): Generator<string[]> {
  for (let i = 0; i < lines.length; i += most) yield lines.slice(i, i + most);
}
