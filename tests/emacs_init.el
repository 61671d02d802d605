;;; emacs_init.el --- Emacs as tests/emacs_rig.py drives it -*- lexical-binding: t -*-
;; CODEGEN_LSP_ELISP: a folder with a folder for each package. RIG_CLIENT: eglot or lsp. RIG_COMMAND, RIG_SETUP: Lisp.
;; RIG_SOCKET: a file.  Without a screen it says where the packages are, and no more.
(defvar rig-packages (or (getenv "CODEGEN_LSP_ELISP") "/usr/share/emacs/site-lisp/elpa"))
(dolist (folder (and (file-directory-p rig-packages) (directory-files rig-packages t "^[a-z]")))
  (unless (and (>= emacs-major-version 29) ; They are built in.
               (string-match-p "/\\(eglot\\|project\\|seq\\|xref\\|jsonrpc\\)-[^/]*\\'" folder))
    (add-to-list 'load-path folder)
    (dolist (file (directory-files folder t "-autoloads\\.el\\'")) (load file t t))))
(add-to-list 'load-path (expand-file-name "../editor-clients/emacs" (file-name-directory load-file-name)))

(defun rig-ask (command)
  "What the server says to COMMAND."
  (let (answer)
    (codegen-wire-execute (codegen-wire-server) command nil
                          (lambda (said) (setq answer (list said))) (lambda (said) (setq answer (list said))))
    (while (not answer) (accept-process-output nil 0.05))
    (car answer)))

(defun rig-visit (file)
  "Visit FILE as it is on the disk, and no other."
  (dolist (buffer (buffer-list))
    (when (buffer-file-name buffer)
      (with-current-buffer buffer (set-buffer-modified-p nil))
      (kill-buffer buffer)))
  (find-file file)
  t)

(defun rig-ghost ()
  "What is shown behind point."
  (if-let ((overlay (or codegen-ghost--overlay (bound-and-true-p lsp-inline-completion--overlay))))
      (substring-no-properties (concat (overlay-get overlay 'display) (overlay-get overlay 'after-string)))
    ""))

(defun rig-value (value)
  "VALUE as JSON that needs no quoting."
  (base64-encode-string (encode-coding-string (json-encode value) 'utf-8) t))

(defun rig-version (name)
  "The versions of Emacs and of the library NAME, or \"\" when it is not there."
  (require 'lisp-mnt)
  (if-let ((file (locate-library (concat name ".el") nil)))
      (with-temp-buffer
        (let ((plain (file-name-sans-extension (file-name-sans-extension file))))
          (insert-file-contents (seq-find #'file-exists-p (list (concat plain ".el.gz") (concat plain ".el")))))
        (format "Emacs %s, %s %s" emacs-version name (or (lm-header "package-version") (lm-header "version"))))
    ""))

(defun rig-start ()
  "Have the package and a client, and answer the tests."
  (setq inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil
        use-short-answers t ring-bell-function #'ignore eldoc-idle-delay 3600 indent-tabs-mode nil
        flymake-indicator-type nil ; A margin would shift the rows.
        eglot-sync-connect t eglot-autoreconnect nil eglot-confirm-server-initiated-edits nil
        lsp-session-file (expand-file-name "lsp-session" (getenv "HOME"))
        lsp-auto-guess-root t lsp-enable-snippet nil lsp-headerline-breadcrumb-enable nil
        lsp-enable-suggest-server-download nil
        lsp-modeline-code-actions-enable nil lsp-enable-file-watchers nil
        custom-file (expand-file-name "custom.el" (getenv "HOME")))
  (menu-bar-mode -1)
  (require 'codegen)
  (require 'json)
  (setq codegen-command (read (getenv "RIG_COMMAND")))
  (eval (read (getenv "RIG_SETUP")) t)
  (codegen-setup)
  (if (equal (getenv "RIG_CLIENT") "eglot")
      (progn (require 'eglot) (add-hook 'python-mode-hook #'eglot-ensure))
    (require 'lsp-mode)
    (setq lsp-enabled-clients '(codegen))
    (add-hook 'python-mode-hook #'lsp))
  (require 'server)
  (setq server-socket-dir (file-name-directory (getenv "RIG_SOCKET"))
        server-name (file-name-nondirectory (getenv "RIG_SOCKET")))
  (server-start))

(unless noninteractive (rig-start))
;;; emacs_init.el ends here
