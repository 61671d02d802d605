" ALE: code actions from codegen-lsp. Source it in your vimrc, after the line that loads ALE, and name the linter:
"   source …/editor-clients/vim/ale.vim
"   let g:ale_linters = {'python': ['ruff', 'codegen']}
" Then :ALECodeAction on a comment or a docstring writes the code below it.

let s:language_ids = {'sh': 'shellscript', 'bash': 'shellscript'}
let s:markers = ['pyproject.toml', 'package.json', 'Cargo.toml', 'go.mod', '.git/']

" The first folder upwards with one of the markers, else the file's own: ALE starts no server without one.
function! s:root(buffer) abort
  for marker in s:markers
    let found = ale#path#FindNearestFile(a:buffer, marker)
    if empty(found) && marker =~# '/$'
      let found = ale#path#FindNearestDirectory(a:buffer, marker)
    endif
    if !empty(found)
      return fnamemodify(found, marker =~# '/$' ? ':h:h' : ':h')
    endif
  endfor
  return expand('#' . a:buffer . ':p:h')
endfunction

let s:command = get(g:, 'codegen_command', ['codegen-lsp', 'serve'])
for s:filetype in ['python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact',
      \ 'go', 'rust', 'java', 'c', 'cpp', 'ruby', 'sh', 'bash']
  call ale#linter#Define(s:filetype, {
        \ 'name': 'codegen',
        \ 'lsp': 'stdio',
        \ 'executable': s:command[0],
        \ 'command': '%e ' . join(map(s:command[1:], 'ale#Escape(v:val)')),
        \ 'language': get(s:language_ids, s:filetype, s:filetype),
        \ 'initialization_options': get(g:, 'codegen_settings', {}),
        \ 'project_root': function('s:root'),
        \ })
endfor
