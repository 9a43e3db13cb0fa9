import { expect, test } from "vitest";
import { DEFAULT_HTTP_CONFIG } from "../model/records.ts";
import { httpProblems } from "./http-rules.ts";

test("the defaults, and none at all, break no rule", () => {
  expect(httpProblems(DEFAULT_HTTP_CONFIG)).toEqual([]);
  expect(httpProblems({})).toEqual([]);
});

test.each([
  [{ prot: 1 }, 'http.prot is not an option. Did you mean "port"?'],
  [{ port: "8000" }, 'http.port must be a whole number from 0 to 65535, got "8000".'],
  [{ port: 65_536 }, "http.port must be a whole number from 0 to 65535, got 65536."],
  [{ host: "" }, 'http.host must be a host name or address, got "".'],
  [{ location: "all" }, 'http.location must be one of none, head, every, got "all".'],
  [{ proxiesPerNode: -1 }, "http.proxiesPerNode must be a whole number from 0 to 64, got -1."],
])("%j is refused with what is wrong", (http, sentence) => {
  expect(httpProblems(http)).toEqual([sentence]);
});

test("all problems are told together", () => {
  expect(httpProblems({ port: 1.5, proxiesPerNode: 65, hosts: 1 })).toHaveLength(3);
});
