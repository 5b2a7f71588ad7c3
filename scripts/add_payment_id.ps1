<#
.SYNOPSIS
Run add_payment_id.sql with psql: add, fill and constrain the column on a live table.

.DESCRIPTION
The password is asked for without echo. It goes to psql in a file that only you may read, and that
is deleted at the end: never on a command line, never in the environment.

Exit code: 0 done; 1 refused or stopped, psql said why, run it again; 3 psql is missing or the
server cannot be reached.

.PARAMETER DbHost
Also -HostName; so -DbPort is -Port, -DbName is -Database, and -DbUser is -User.

.PARAMETER Table
As written in SQL, with quotes and schema where it needs them.

.PARAMETER NoPassword
Ask for none: trust, a certificate, or your own pgpass.conf.

.EXAMPLE
.\scripts\add_payment_id.ps1 -DbHost db.example.com -DbPort 5432 -DbName treasury -DbUser deploy
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [Alias('Database')] [string] $DbName,
    [Alias('HostName')] [string] $DbHost = 'localhost',
    [Alias('Port')] [ValidateRange(1, 65535)] [int] $DbPort = 5432,
    [Alias('User')] [string] $DbUser = [Environment]::UserName,
    [string] $Table = 'treasury_payment',
    [string] $Column = 'payment_id',
    [ValidateRange(1, 1000000)] [int] $Batch = 5000,
    [string] $LockTimeout = '100ms',
    [ValidateRange(0, 86400)] [int] $Patience = 60,
    [ValidateSet('refuse', 'fire', 'skip')] [string] $Triggers = 'refuse',
    [switch] $NoPassword
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# psql says its notices on stderr; they are no errors of this script.
$PSNativeCommandUseErrorActionPreference = $false

if (-not (Get-Command psql -ErrorAction SilentlyContinue)) {
    [Console]::Error.WriteLine('add_payment_id.ps1: psql is not installed')
    exit 3
}

function New-PrivateFile {
    # Closed to others before anything is written to it.
    $path = [IO.Path]::GetTempFileName()
    if ([Environment]::OSVersion.Platform -eq 'Win32NT') {
        $owner = [Security.Principal.WindowsIdentity]::GetCurrent().Name
        $access = New-Object Security.AccessControl.FileSecurity
        $access.SetAccessRuleProtection($true, $false)
        $rule = New-Object Security.AccessControl.FileSystemAccessRule($owner, 'FullControl', 'Allow')
        $access.AddAccessRule($rule)
        Set-Acl -LiteralPath $path -AclObject $access
    }
    else {
        & chmod 600 $path
        if ($LASTEXITCODE -ne 0) { throw "cannot close $path to others" }
    }
    return $path
}

function Write-Password([string] $Path) {
    $secret = Read-Host -AsSecureString -Prompt "Password of $DbUser on $DbHost"
    $pointer = [Runtime.InteropServices.Marshal]::SecureStringToGlobalAllocUnicode($secret)
    try {
        $plain = [Runtime.InteropServices.Marshal]::PtrToStringUni($pointer)
        $escaped = $plain.Replace('\', '\\').Replace(':', '\:')
        # UTF-8 without a byte order mark, which psql would take for a part of the host name.
        $encoding = New-Object Text.UTF8Encoding($false)
        [IO.File]::WriteAllText($Path, "*:*:*:*:$escaped`n", $encoding)
    }
    finally {
        [Runtime.InteropServices.Marshal]::ZeroFreeGlobalAllocUnicode($pointer)
        $plain = $escaped = $null
        $secret.Dispose()
    }
}

# A bare name with = in it would be taken for a connection string.
$named = "dbname='" + $DbName.Replace('\', '\\').Replace("'", "\'") + "'"

# Before 7.3 PowerShell drops the quotes within an argument of a program.
if ($PSVersionTable.PSVersion -lt [version] '7.3') {
    $Table, $Column, $DbUser, $named =
        $Table, $Column, $DbUser, $named | ForEach-Object { $_.Replace('"', '\"') }
}

$passfile = $null
$before = $env:PGPASSFILE, $env:PGPASSWORD
$code = 1
try {
    if (-not $NoPassword) {
        $passfile = New-PrivateFile
        Write-Password $passfile
        $env:PGPASSFILE = $passfile
        # It would be taken before the one that was asked for.
        $env:PGPASSWORD = $null
    }
    # Before 7 a notice of psql would stop the script where stderr is redirected.
    $ErrorActionPreference = 'Continue'
    & psql -X -w -h $DbHost -p $DbPort -U $DbUser -d $named `
        -v "column=$Column" -v "batch=$Batch" -v "lock_timeout=$LockTimeout" `
        -v "patience=$Patience" -v "triggers=$Triggers" -v "table=$Table" `
        -f (Join-Path $PSScriptRoot 'add_payment_id.sql')
    if ($LASTEXITCODE -eq 0) { $code = 0 }
    elseif ($LASTEXITCODE -eq 2) { $code = 3 }
}
finally {
    $env:PGPASSFILE, $env:PGPASSWORD = $before
    if ($passfile) { Remove-Item -LiteralPath $passfile -Force -ErrorAction SilentlyContinue }
}
exit $code
