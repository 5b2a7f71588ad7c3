<#
.SYNOPSIS
The playbook as a deploy script: run_playbook, with what it is to know from the environment.

.DESCRIPTION
Run it in the folder of manage.py. What is typed behind it (--settings=..., --from backup, say) goes to
run_playbook. It ends with the exit code of run_playbook, as README has them; 2 if it is called wrongly.

.PARAMETER Approval
Who approved it, and where; needed in production where there is a column to seed. Default: APPROVAL.

.PARAMETER Site
The address of the site. Default: SITE; without it, the site of the settings is looked at, or one is served.

.PARAMETER Python
Default: PYTHON, else python.

.EXAMPLE
.\scripts\playbook.ps1 -Approval 'Ada, T-42' -Site https://staging.example.org --settings=staging_settings
#>
[CmdletBinding(PositionalBinding = $false)]
param(
    [string] $Approval = $env:APPROVAL,
    [string] $Site = $env:SITE,
    [string] $Python = $env:PYTHON,
    [Parameter(ValueFromRemainingArguments)] [string[]] $More = @()
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# What it says on stderr is no error of this script.
$PSNativeCommandUseErrorActionPreference = $false

if (-not $Python) { $Python = 'python' }
if (-not (Test-Path -LiteralPath 'manage.py')) {
    [Console]::Error.WriteLine("playbook: there is no manage.py here; run this in the project's folder")
    exit 2
}
if (-not (Get-Command $Python -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine("playbook: there is no $Python; activate the environment, or set PYTHON")
    exit 2
}

$words = @('manage.py', 'run_playbook', '--yes')
if ($Approval) { $words += @('--approval', $Approval) }
if ($Site) { $words += @('--base-url', $Site) }
& $Python @words @More
exit $LASTEXITCODE
