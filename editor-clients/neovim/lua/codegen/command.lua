-- :Codegen explain, status, restart, toggle.
local M = {}

local MAX_LINE = 200 -- bytes of a value that are shown

--- Ask the server of this buffer, or of any; `show` gets what it says.
local function request(command, show, argument)
  local client = require('codegen').client(vim.api.nvim_get_current_buf()) or require('codegen').client()
  if not client then
    return vim.notify('codegen: no server is running here (see :checkhealth codegen)', vim.log.levels.WARN)
  end
  local function answer(problem, result)
    if problem then return vim.notify('codegen: ' .. problem.message, vim.log.levels.ERROR) end
    show(result)
  end
  local params = { command = command, arguments = { argument } }
  if vim.fn.has('nvim-0.11') == 1 then
    client:request('workspace/executeCommand', params, answer)
  else
    client.request('workspace/executeCommand', params, answer)
  end
end

local function scalar(value)
  if value == vim.NIL then return 'none' end
  if type(value) == 'number' then return ('%.4g'):format(value) end
  return tostring(value)
end

local function names_of(tree)
  local names = vim.tbl_keys(tree)
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  return names
end

--- JSON as indented lines; a text of several lines stands below its name.
local function lines_of(tree, indent, lines)
  for _, name in ipairs(names_of(tree)) do
    local value = tree[name]
    local label = indent .. (type(name) == 'number' and '-' or name .. ':')
    if type(value) == 'table' then
      if not vim.tbl_isempty(value) then
        table.insert(lines, label)
        lines_of(value, indent .. '  ', lines)
      end
    elseif type(value) == 'string' and value:find('\n') then
      table.insert(lines, label .. ' |')
      for _, line in ipairs(vim.split(value, '\n', { plain = true })) do
        table.insert(lines, indent .. '  ' .. line:sub(1, MAX_LINE))
      end
    else
      table.insert(lines, label .. ' ' .. scalar(value):sub(1, MAX_LINE))
    end
  end
  return lines
end

--- Show lines in a float; `q` closes it. Called again, it is entered.
local function float(lines, syntax)
  vim.lsp.util.open_floating_preview(lines, syntax, {
    border = 'rounded', focus_id = 'codegen', max_height = math.floor(vim.o.lines * 0.7), wrap = false,
  })
end

local function float_tree(title, tree)
  if type(tree) ~= 'table' or vim.tbl_isempty(tree) then return vim.notify('codegen: nothing to show yet') end
  float(lines_of(tree, '', { '# ' .. title }), 'yaml')
end

local function float_text(text)
  if type(text) ~= 'string' or text == '' then return vim.notify('codegen: nothing to show yet') end
  float(vim.split(vim.trim(text), '\n', { plain = true }), 'text')
end

local actions = {
  explain = function() request('codegen.explainLast', float_text, { as = 'text' }) end,
  status = function() request('codegen.status', function(result) float_tree('codegen-lsp', result) end) end,
  restart = function()
    request('codegen.restartHost', function(result) float_tree('The model was restarted', result) end)
  end,
  toggle = function()
    local options = require('codegen').options
    options.settings.enabled = options.settings.enabled == false
    for _, client in pairs((vim.lsp.get_clients or vim.lsp.get_active_clients)()) do
      local params = { settings = { codegen = options.settings } }
      if client.name == 'codegen' then
        client.config.settings = params.settings
        if vim.fn.has('nvim-0.11') == 1 then
          client.settings = params.settings
          client:notify('workspace/didChangeConfiguration', params)
        else
          client.notify('workspace/didChangeConfiguration', params)
        end
      end
    end
    vim.notify('codegen: ' .. (options.settings.enabled and 'on' or 'off'))
  end,
}

M.names = { 'explain', 'restart', 'status', 'toggle' }

function M.run(name)
  local action = actions[name]
  if not action then return vim.notify('codegen: say one of ' .. table.concat(M.names, ', '), vim.log.levels.ERROR) end
  action()
end

return M
