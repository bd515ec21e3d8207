-- Sends the requests of a file, one per line: method, path, credential and body behind tabs, in any order.
-- Each "@now" in a body becomes the time, each other "@" in a path or a body a text that no other request has. At the end it
-- prints what was measured as one line of JSON.

local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, micros; } moment; int gettimeofday(moment *, void *);")

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  lines = {}
  for line in io.lines(args[1]) do
    local method, path, credential, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t?(.*)$")
    local headers = {}
    if credential ~= "" then headers["X-AUTH-TOKEN"] = credential end
    if body ~= "" then headers["Content-Type"] = "application/json" end
    lines[#lines + 1] = { method = method, path = path, headers = headers, body = body ~= "" and body or nil,
      plain = not (path .. body):find("@") and wrk.format(method, path, headers, body ~= "" and body or nil) or nil }
  end
  -- The place of a table in memory tells two runs apart that begin within the same second.
  salt = os.time() .. "-" .. number .. "-" .. tostring(lines):match("0x(%x+)") .. "-"
  count = 0
  math.randomseed(number + os.time())
end

function request()
  local line = lines[math.random(#lines)]
  if line.plain then return line.plain end
  local body = line.body and line.body:gsub("@now", now()):gsub("@", unique)
  return wrk.format(line.method, line.path:gsub("@", unique), line.headers, body)
end

function now()
  local moment = ffi.new("moment[1]")
  ffi.C.gettimeofday(moment, nil)
  local millis = math.floor(tonumber(moment[0].micros) / 1000)
  return os.date("!%Y-%m-%dT%H:%M:%S", tonumber(moment[0].seconds)) .. string.format(".%03dZ", millis)
end

function unique()
  count = count + 1
  return salt .. count
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "p50": %f, "p99": %f}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
