-- Neovim's own ghost text (0.12): what it lacks are a part of a suggestion, one step of undo, dismissing, and asking by
-- hand.
local insert = require('codegen.insert')
local M = {}

local INVOKED = 1 -- LSP's InlineCompletionTriggerKind
local INLINE = 'textDocument/inlineCompletion'

local taken = nil -- the suggestion that is being accepted
local by_hand = {} -- by buffer: the user asks, and what is to be done with the answer
local chosen = {} -- by buffer: where several were last asked for

local function place()
  local buffer = vim.api.nvim_get_current_buf()
  return table.concat({ vim.api.nvim_buf_get_changedtick(buffer), unpack(vim.api.nvim_win_get_cursor(0)) }, ':')
end

--- Neovim says of each request that nobody asked for it: of the next one in a buffer in `by_hand` it is not so.
local function lend(client)
  if client.codegen_is_lent then return end
  client.codegen_is_lent = true
  local request = client.request
  client.request = function(self, method, params, handler, buffer)
    local after = method == INLINE and by_hand[buffer]
    if not after then return request(self, method, params, handler, buffer) end
    by_hand[buffer] = nil
    params.context.triggerKind = INVOKED
    local function answer(...)
      handler(...)
      after()
    end
    return request(self, method, params, answer, buffer)
  end
end

--- Have it ask, as it does when the cursor has moved: after 200 ms.
local function ask(after)
  local buffer = vim.api.nvim_get_current_buf()
  local client = require('codegen').client(buffer)
  if not client then return end
  lend(client)
  by_hand[buffer] = after
  local wanted = { event = 'CursorMovedI', buffer = buffer }
  for _, each in ipairs(vim.api.nvim_get_autocmds(wanted)) do
    if (each.group_name or ''):find('inline_completion', 1, true) then
      vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = buffer, group = each.group })
    end
  end
end

local function is_shown()
  local space = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
  return space and #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { limit = 1 }) > 0 or false
end

--- Offer suggestions in a buffer.
function M.watch(buffer) vim.lsp.inline_completion.enable(true, { bufnr = buffer }) end

--- Ask now, and insist.
function M.request()
  vim.schedule(function() ask(function() end) end) -- Not in a mapping with `expr`.
  return true
end

--- Show the next suggestion (the one before it with a step of -1); whether one was shown. They are asked for first.
function M.cycle(step)
  if not is_shown() then return false end
  local function select() vim.lsp.inline_completion.select({ count = step }) end
  vim.schedule(function()
    local buffer = vim.api.nvim_get_current_buf()
    if chosen[buffer] == place() then return select() end
    ask(function()
      chosen[buffer] = place()
      select()
    end)
  end)
  return true
end

--- Neovim's item as a suggestion; nil when it is not for the cursor's row.
local function read(item)
  local buffer, cursor = vim.api.nvim_get_current_buf(), vim.api.nvim_win_get_cursor(0)
  local row, col, end_row, end_col = cursor[1] - 1, cursor[2], cursor[1] - 1, cursor[2]
  if item.range then row, col, end_row, end_col = item.range:to_extmark() end
  if row ~= cursor[1] - 1 or end_row ~= row then return nil end
  local text = type(item.insert_text) == 'table' and item.insert_text.value or item.insert_text
  return {
    buffer = buffer,
    row = row,
    col = col,
    end_col = math.max(end_col, cursor[2]), -- What was typed since it was offered lies behind its range.
    text = text:gsub('\r\n?', '\n'),
    command = item.command,
    client_id = item.client_id,
  }
end

--- Accept 'all', the next 'word' or the next 'line'; whether there was anything to accept.
function M.accept(kind)
  local function take(item)
    taken = read(item)
    if taken then insert.as_one_step(("require('codegen.builtin').apply('%s')"):format(kind)) end
  end
  return vim.lsp.inline_completion.get({ on_accept = take })
end

function M.apply(kind)
  local item = taken
  taken = nil
  if item then insert.apply(item, kind) end
end

--- Hide the suggestion; whether there was one.
function M.dismiss() return vim.lsp.inline_completion.get({ on_accept = function() end }) end

return M
