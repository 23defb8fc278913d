{{/*
The schema's migration: an ordinary Job. It is not a hook (a pre-install hook would wait for a database that is in the
same release), and its name carries a hash of its pod, so that a changed one is a new Job and an unchanged one is left
alone: a Job cannot be changed in place, neither by Helm nor by a GitOps controller. The processes' startup doors stay
shut until it is through. The owner role's password is mounted here and nowhere else.
*/}}
{{- define "platform-service.migration" -}}
{{- $pod := include "platform-service.migration-pod" . }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "platform-service.fullname" . }}-migrate-{{ sha256sum $pod | trunc 10 }}
  labels:
    {{- include "platform-service.labels" . | nindent 4 }}
    app.kubernetes.io/component: migrate
spec:
  backoffLimit: 10
  activeDeadlineSeconds: 900
  ttlSecondsAfterFinished: 86400
  template:
    {{- $pod | nindent 4 }}
{{- end }}

{{- define "platform-service.migration-pod" -}}
metadata:
  {{- $mesh := include "platform-service.mesh" . }}
  {{- if has $mesh (list "linkerd" "istio-sidecar") }}
  annotations:
    # A sidecar would outlive the Job; Postgres is not in a mesh of sidecars.
    {{ ternary "linkerd.io/inject: disabled" "sidecar.istio.io/inject: \"false\"" (eq $mesh "linkerd") }}
  {{- end }}
  labels:
    {{- include "platform-service.selector" (dict "chart" . "name" "migrate") | nindent 4 }}
    {{- if eq $mesh "istio-ambient" }}
    istio.io/dataplane-mode: ambient
    {{- end }}
    app.kubernetes.io/version: {{ include "platform-service.version" . | quote }}
    app.kubernetes.io/part-of: payment-platform
spec:
  {{- include "platform-service.pod-settings" . | nindent 2 }}
  {{- with include "platform-service.scheduling" (dict "chart" . "tier" "critical") | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  restartPolicy: OnFailure
  containers:
    - name: migrate
      image: {{ include "platform-service.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: {{ toJson .Values.migrations.args }}
      env:
        - name: APP_VERSION
          value: {{ include "platform-service.version" . | quote }}
        - name: LOG_FORMAT
          value: json
        - name: SECRETS_DIR
          value: /run/secrets/platform
        - name: MIGRATION_DATABASE_URL
          value: {{ include "platform-service.database-url" (dict "chart" . "role" "owner") }}
        {{- range .Values.database.furtherSchemas }}
        - name: {{ upper . }}_MIGRATION_DATABASE_URL
          value: {{ include "platform-service.database-url" (dict "chart" $ "role" "owner" "schema" .) }}
        {{- end }}
      resources:
        {{- toYaml .Values.migrations.resources | nindent 8 }}
      securityContext:
        {{- include "platform-service.container-security" . | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: secrets
          mountPath: /run/secrets/platform
          readOnly: true
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 16Mi}
    {{- $files := list "migration_database_password" }}
    {{- range .Values.database.furtherSchemas }}
    {{- $files = append $files (printf "%s_owner_password" .) }}
    {{- end }}
    {{- include "platform-service.secret-volume" (dict "chart" . "files" $files) | nindent 4 }}
{{- end }}
