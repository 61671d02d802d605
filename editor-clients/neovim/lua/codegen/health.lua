-- :checkhealth codegen
local M = {}

local health = vim.health or require('health')
local function say(kind, ...) return (health[kind] or health['report_' .. kind])(...) end -- Renamed in 0.10.

local function check_editor()
  local version = vim.version()
  local name = ('Neovim %d.%d.%d'):format(version.major, version.minor, version.patch)
  if vim.fn.has('nvim-0.7') == 0 then return say('error', name .. ' is too old: 0.7 is needed') end
  local front = require('codegen').front() == require('codegen.ghost') and 'our own' or 'built in'
  say('ok', name .. ', ghost text: ' .. front)
end

local function check_program()
  local cmd = require('codegen').options.cmd
  if vim.fn.executable(cmd[1]) == 0 then
    return say('error', cmd[1] .. ' is not found', { 'pip install . in the clone of codegen-lsp', 'or give its full path: cmd in setup()' })
  end
  say('ok', vim.fn.exepath(cmd[1]) .. ' is there')
end

local function request(client, command)
  local params = { command = command }
  if vim.fn.has('nvim-0.11') == 1 then return client:request_sync('workspace/executeCommand', params, 2000, 0) end
  return client.request_sync('workspace/executeCommand', params, 2000, 0)
end

local function named(value) return type(value) == 'string' and value or 'not known yet' end -- JSON's null is no nil.

local function check_server()
  local client = require('codegen').client()
  if not client then return say('info', 'no server is running: it starts with the first file of a known type') end
  say('ok', 'the server is running, positions in ' .. client.offset_encoding)
  local answer = request(client, 'codegen.status')
  local status = answer and answer.result
  if type(status) ~= 'table' then return say('error', 'the server does not answer') end
  say('info', ('codegen-lsp %s, model %s: %s'):format(status.version, named(status.model), status.state))
  if type(status.error) == 'string' then say('warn', status.error) end
end

local function check_keys()
  local keys = require('codegen').options.keys or {}
  for name, key in pairs(keys) do
    local mapping = key and vim.fn.maparg(key, 'i', false, true)
    local is_ours = mapping and vim.startswith(mapping.desc or '', 'codegen: ')
    if key and not is_ours then say('warn', ('%s (%s) means something else'):format(key, name)) end
  end
end

function M.check()
  say('start', 'codegen')
  check_editor()
  check_program()
  check_server()
  check_keys()
end

return M
