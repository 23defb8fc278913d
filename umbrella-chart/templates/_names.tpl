{{- define "payment-platform.labels" -}}
app.kubernetes.io/name: payment-platform
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: payment-platform
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "payment-platform.secret-name" -}}
{{- .Values.global.secrets.name | default (printf "%s-credentials" .Release.Name) }}
{{- end }}

{{/*
The keys of the Secret: a password of 40 letters and digits each, but for the last three. Their names say what they open; docs/kubernetes/secrets.md
says who mounts which.
*/}}
{{- define "payment-platform.secret-keys" -}}
- postgres_password
- payments_owner_password
- payments_app_password
- risk_owner_password
- risk_app_password
- pipeline_owner_password
- pipeline_app_password
- vault_owner_password
- vault_app_password
- platform_backup_password
- redis_password
- internal_token
- admin_api_key
- vault_fingerprint_key
- vault_keys
- risk_fingerprint_keys
- channel_secret
{{- end }}

{{/* Context: dict "chart" . "api" <group/version> "what" <name> "install" <command>. A kind that the cluster lacks is an error, not a silence. */}}
{{- define "payment-platform.needs" -}}
{{- if not (.chart.Capabilities.APIVersions.Has .api) }}
{{- fail (printf "%s is on, but this cluster does not have %s. Install it: %s   (helm template: --api-versions %s)" .what .api .install .api) }}
{{- end }}
{{- end }}
