import { describe, expect, it } from "vitest";
import { AnswerReader } from "./answer-reader.ts";

const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
  "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0\r\n\r\nabcde\r\n0\r\n\r\n",
  "HTTP/1.1 204 Gone\r\ncontent-length: 0\r\n\r\n",
].join("");

describe("the reader of answers", () => {
  it("finds the end of each answer wherever the connection cuts it", () => {
    const bytes = Buffer.from(ANSWERS);
    for (let size = 1; size <= bytes.length; size += 1) {
      const statuses: number[] = [];
      const reader = new AnswerReader((status) => statuses.push(status));
      for (let from = 0; from < bytes.length; from += size) reader.push(bytes.subarray(from, from + size));
      expect(statuses, `pieces of ${size} bytes`).toEqual([200, 503, 201, 204]);
    }
  });
});
