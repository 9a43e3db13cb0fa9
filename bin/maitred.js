#!/usr/bin/env node
/*
 * The command `maitred`: finds a Node that can run it, turns the compile cache on, and hands over to `main/cli`.
 *
 * This file may be parsed by any Node, however old, so it is plain ES5 in CommonJS (`bin/package.json` says so):
 * whoever has the wrong Node reads one sentence and no syntax error. It starts no second process when the Node it
 * runs on is new enough. In a checkout the sources run as they are (docs/adr/0002-run-from-source.md); the
 * published package has no `src` and runs `dist`.
 */
"use strict";

var childProcess = require("child_process");
var fs = require("fs");
var path = require("path");

var OLDEST_NODE = 24;
var root = path.dirname(__dirname);
var isCheckout = fs.existsSync(path.join(root, "src", "main", "cli.ts"));

if (parseInt(process.versions.node, 10) >= OLDEST_NODE) {
  run();
} else {
  runOnPinnedNode();
}

function run() {
  enableCompileCache();
  var cli;
  try {
    cli = require(isCheckout ? "../src/main/cli.ts" : "../dist/main/cli.js");
  } catch (error) {
    return fail(error);
  }
  cli.main(process.argv.slice(2)).then(function (exitCode) {
    process.exitCode = exitCode;
  }, fail);
}

/**
 * Node keeps compiled modules, and sources with their types stripped, on disk: 50 ms less for each process. The
 * variable hands the folder to every process started from here. The folder is the user's own, not Node's default in
 * the shared temporary folder, because cached code is code that will run. Node itself ignores a folder it cannot use.
 */
function enableCompileCache() {
  var cacheHome = process.env.XDG_CACHE_HOME || (process.env.HOME && path.join(process.env.HOME, ".cache"));
  if (!process.env.NODE_COMPILE_CACHE && cacheHome) {
    process.env.NODE_COMPILE_CACHE = path.join(cacheHome, "maitred", "compiled");
  }
  if (process.env.NODE_COMPILE_CACHE) require("module").enableCompileCache(process.env.NODE_COMPILE_CACHE);
}

/** In a checkout the dev dependency `node` is the Node to run on; anywhere else there is nothing to try. */
function runOnPinnedNode() {
  var pinned = path.join(root, "node_modules", "node", "bin", "node");
  if (!fs.existsSync(pinned) || fs.realpathSync(pinned) === fs.realpathSync(process.execPath)) {
    return refuse(
      "maitred needs Node " + OLDEST_NODE + " or newer; this is Node " + process.versions.node + ". " + cureForOldNode()
    );
  }
  var args = process.execArgv.concat([__filename], process.argv.slice(2));
  if (process.execve) process.execve(pinned, [pinned].concat(args), process.env);
  runAsChild(pinned, args);
}

function cureForOldNode() {
  return isCheckout
    ? "Run `npm ci` in " + root + ": it installs the Node that this checkout uses."
    : "Install a newer one (https://nodejs.org) and run the command again.";
}

/** For a Node without `execve`: signals and the exit status pass through as if there were one process. */
function runAsChild(command, args) {
  // The command watches this process by that name: whoever goes, both go.
  var env = Object.assign({}, process.env, { MAITRED_LAUNCHER: String(process.pid) });
  var child = childProcess.spawn(command, args, { stdio: "inherit", env: env });
  // A terminal sends Ctrl-C and hang-up to the child itself; forwarding them as well would be the second signal,
  // the one that ends everything at once.
  var hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  ["SIGINT", "SIGHUP", "SIGTERM"].forEach(function (signal) {
    process.on(signal, function () {
      if (signal === "SIGTERM" || !hasTerminal) child.kill(signal);
    });
  });
  child.on("error", fail);
  child.on("exit", function (exitCode, signal) {
    if (signal === null) process.exit(exitCode);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(error) {
  var hint = error && error.code === "ERR_MODULE_NOT_FOUND" && isCheckout ? " Run `npm ci` in " + root + " first." : "";
  refuse("maitred could not start: " + ((error && error.message) || error) + hint);
  // The stack is for us, not for users: NODE_DEBUG=maitred shows it.
  require("util").debuglog("maitred")("%s", error && error.stack);
}

function refuse(sentence) {
  console.error(sentence);
  process.exitCode = 1;
}
