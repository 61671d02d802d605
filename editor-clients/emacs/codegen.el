;;; codegen.el --- codegen-lsp for lsp-mode 10 and eglot -*- lexical-binding: t -*-
;; lsp-mode (ghost text by lsp-inline-completion-mode):
(with-eval-after-load 'lsp-mode
  (lsp-register-client
   (make-lsp-client :new-connection (lsp-stdio-connection '("codegen-lsp" "serve"))
                    :activation-fn (lsp-activate-on "python") :server-id 'codegen :add-on? t))
  (add-hook 'lsp-mode-hook #'lsp-inline-completion-mode))

;; eglot (completion and code actions):
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs '(python-mode . ("codegen-lsp" "serve"))))
;;; codegen.el ends here
