-- Neovim's own ghost text (0.12): what it lacks are a part of a suggestion, one step of undo, and dismissing.
local insert = require('codegen.insert')
local M = {}

local taken = nil -- the suggestion that is being accepted

--- Offer suggestions in a buffer.
function M.watch(buffer) vim.lsp.inline_completion.enable(true, { bufnr = buffer }) end

--- It asks by itself, after each key and 200 ms.
function M.request() return true end

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
