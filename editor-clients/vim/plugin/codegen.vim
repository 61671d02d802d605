vim9script
# Ghost text, accepting, and :Codegen, without a plugin manager's or a language client's help: Vim 9.0.1378 or later.
# g:codegen_command, g:codegen_settings, g:codegen_delay and g:codegen_keys are read, see README.md.

if exists('g:loaded_codegen') || !has('patch-9.0.1378') || !has('channel') || !has('textprop')
  finish
endif
g:loaded_codegen = true

import autoload 'codegen/server.vim'
import autoload 'codegen/ghost.vim'
import autoload 'codegen/commands.vim'

highlight default link CodegenGhost Comment

augroup codegen
  autocmd!
  autocmd FileType,BufEnter * server.Attach()
  autocmd BufUnload * server.Detach(expand('<abuf>')->str2nr())
  autocmd InsertEnter,CursorMovedI,TextChangedI,TextChangedP * ghost.Moved()
  autocmd TextChanged * ghost.Clear()
  autocmd InsertLeave,BufLeave * ghost.Forget()
augroup END

command -nargs=1 -complete=custom,Names Codegen commands.Run(<q-args>)
def Names(..._): string
  return join(commands.NAMES, "\n")
enddef

# Each falls back to what the key means without a suggestion.
const KEYS = {
  accept: '<C-l>', word: '<C-f>', line: '<C-e>', dismiss: '<C-]>',
  request: '<C-g>g', next: '<C-g>n', previous: '<C-g>p',
}
for [name, key] in items(extendnew(KEYS, get(g:, 'codegen_keys', {})))
  if !empty(key)
    execute $"inoremap <silent><expr> {key} <SID>Press('{name}', '{substitute(key, '<', '<lt>', 'g')}')"
  endif
endfor

def Press(name: string, key: string): string
  return ghost.Press(name) ?? substitute(key, '<[^>]*>', (m) => eval($'"\{m[0]}"'), 'g')
enddef
