-- What wrk sends, and its result as one line of JSON. Arguments: method, body bytes ("json": the small body).
local sent = "json"

function init(args)
  wrk.method = args[1]
  sent = args[2]
  if sent == "json" then
    wrk.body = '{"values":[1,2,3,4,5,6,7,8]}'
    wrk.headers["content-type"] = "application/json"
  elseif tonumber(sent) > 0 then
    wrk.body = string.rep("x", tonumber(sent))
    wrk.headers["content-type"] = "application/octet-stream"
  end
end

function done(summary)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"bad":%d,"ms":%f,"bytes":%d}\n', summary.requests, bad, summary.duration / 1000, summary.bytes))
end
